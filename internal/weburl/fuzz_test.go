package weburl

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// everything is the Options that change most.
func everything() Options {
	return Options{SortQuery: true, StripParams: []string{"utm_*", "gclid"}, StripSessionIDs: true}
}

// oracle resolves by the WHATWG parser alone: no fast path, no preparation.
func oracle(base, ref string) (string, bool) {
	u, err := newParser().Parse(base)
	if base == "" {
		u, err = newParser().Parse(ref)
	} else if err == nil {
		u, err = u.Parse(ref)
	}
	if err != nil || u.Scheme() != "http" && u.Scheme() != "https" {
		return "", false
	}
	u.SetUsername("")
	u.SetPassword("")
	return u.Href(true), true
}

// checkURL holds what is true of every URL, by whatever options.
func checkURL(t *testing.T, c *Canonicalizer, u URL) {
	t.Helper()
	s := u.String()
	if len(s) > MaxLength || !utf8.ValidString(s) || strings.ContainsAny(s, "# \t\r\n") {
		t.Errorf("%q is no canonical URL", s)
	}
	again, err := c.Parse(s)
	if err != nil || again != u {
		t.Errorf("not idempotent: %q gives %q, %v", s, again, err)
	}
	stored, err := FromCanonical(s)
	if err != nil || stored != u {
		t.Errorf("FromCanonical(%q) = %+v, %v, want %+v", s, stored, err, u)
	}
	if stored.Key() != KeyOf(s) || stored.HostID() != u.HostID() {
		t.Errorf("%q: keys differ between two ways to the same URL", s)
	}
	if got := u.Scheme() + "://" + u.HostPort() + u.PathQuery(); got != s {
		t.Errorf("parts give %q, want %q", got, s)
	}
	if u.Host() == "" || u.Site() == "" || u.Path() == "" || u.Path()[0] != '/' {
		t.Errorf("%q: host %q, site %q, path %q", s, u.Host(), u.Site(), u.Path())
	}
}

func checkAgainstOracle(t *testing.T, got URL, err error, base, ref string) {
	t.Helper()
	if len(ref) > MaxLength/4 { // limits of ours, not of the standard
		return
	}
	want, ok := oracle(base, ref)
	switch {
	case errors.Is(err, ErrTooLong):
	case ok != (err == nil):
		t.Errorf("base %q ref %q: error %v, the standard says %q", base, ref, err, want)
	case ok && got.String() != want:
		t.Errorf("base %q ref %q: got %q, want %q", base, ref, got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range parseCases() {
		f.Add(tt.in)
	}
	exact, all := New(Options{}), New(everything())
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := exact.Parse(raw)
		checkAgainstOracle(t, u, err, "", raw)
		if err == nil {
			checkURL(t, exact, u)
		}
		if u, err := all.Parse(raw); err == nil {
			checkURL(t, all, u)
		}
	})
}

func FuzzResolve(f *testing.F) {
	for _, tt := range resolveCases() {
		f.Add(tt.base, tt.ref)
	}
	exact, all := New(Options{}), New(everything())
	f.Fuzz(func(t *testing.T, base, ref string) {
		b, err := exact.Base(base)
		if err != nil {
			return
		}
		u, err := b.Resolve(ref)
		checkAgainstOracle(t, u, err, base, ref)
		if err != nil {
			return
		}
		checkURL(t, exact, u)
		if again, err := b.Resolve(ref); err != nil || again != u {
			t.Errorf("second time: %q, %v", again, err)
		}
		strict, err := all.Base(base)
		if err != nil {
			t.Fatalf("base with options: %v", err)
		}
		if v, err := strict.Resolve(ref); err == nil {
			checkURL(t, all, v)
		} else {
			t.Errorf("with options: %v", err)
		}
	})
}

func FuzzFromCanonical(f *testing.F) {
	for _, s := range []string{
		"", "http://", "http://h", "http://h/", "https://[::1]:8080/a?b", "http://[", "http://]/", "http://:/",
		"http://h:/", "http://h:99999/", "http:///", "https://h:8443/x#y", "http://[::1/", "http://[::1]x/",
		"https://h/a?b#!method=POST&type=a%2Fb&body=%7B&header=X-Api%3A+1", "http://h/#!header=A%3A+",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := FromCanonical(s)
		if err != nil && !u.IsZero() {
			t.Errorf("an error and a URL: %q", u)
		}
		_ = u.Scheme() + u.Host() + u.Port() + u.HostPort() + u.Origin() + u.Path() + u.PathQuery() + u.Site()
		_, _ = u.Addr()
		_, _ = u.Key(), u.HostID()
		if err == nil && (u.String() != s || u.Host() == "") {
			t.Errorf("FromCanonical(%q) = %q with host %q", s, u, u.Host())
		}
		if r, ok := u.Request(); ok {
			if again, err := u.WithoutRequest().WithRequest(r); err != nil || again != u {
				t.Errorf("%q: its request gives %q, %v", s, again, err)
			}
		} else if strings.Contains(u.String(), "#") {
			t.Errorf("%q: a fragment that is no request", s)
		}
	})
}
