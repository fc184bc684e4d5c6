package weburl

import (
	"errors"
	"strings"
	"testing"
)

// outcome is what a case's want is compared with.
func outcome(u URL, err error) string {
	switch {
	case errors.Is(err, ErrScheme):
		return "SCHEME"
	case errors.Is(err, ErrInvalid):
		return "INVALID"
	case errors.Is(err, ErrTooLong):
		return "TOO LONG"
	case err != nil:
		return err.Error()
	}
	return u.String()
}

func TestParseAsTheStandardDoes(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for _, tt := range parseCases() {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			u, err := c.Parse(tt.in)
			if got := outcome(u, err); got != tt.want {
				t.Errorf("Parse(%q) = %q (%v), want %q", tt.in, got, err, tt.want)
			}
			if err == nil {
				checkURL(t, c, u)
			} else if !u.IsZero() {
				t.Errorf("Parse(%q) gives both %q and an error", tt.in, u)
			}
		})
	}
}

func TestResolveAsTheStandardDoes(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for _, tt := range resolveCases() {
		t.Run(tt.base+" "+tt.ref, func(t *testing.T) {
			t.Parallel()
			b, err := c.Base(tt.base)
			if err != nil {
				t.Fatalf("Base(%q): %v", tt.base, err)
			}
			u, err := b.Resolve(tt.ref)
			if got := outcome(u, err); got != tt.want {
				t.Errorf("Resolve(%q) on %q = %q (%v), want %q", tt.ref, tt.base, got, err, tt.want)
			}
			if err == nil {
				checkURL(t, c, u)
			}
		})
	}
}

func TestFastPathAgreesWithSlowPath(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	fast := 0
	for _, tt := range resolveCases() {
		ref, err := prepare(tt.ref)
		if err != nil || ref.bare == "" {
			continue
		}
		b, err := c.Base(tt.base)
		if err != nil {
			t.Fatalf("Base(%q): %v", tt.base, err)
		}
		if !b.fast(ref.bare) {
			continue
		}
		fast++
		got := string(b.x.buf)
		if err := b.resolveSlow(ref); err != nil || got != string(b.x.buf) {
			t.Errorf("base %q ref %q: fast %q, slow %q, %v", tt.base, tt.ref, got, b.x.buf, err)
		}
	}
	if fast < 80 {
		t.Errorf("only %d of the cases take the fast path", fast)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"longest", "http://h/" + strings.Repeat("a", MaxLength-9), "http://h/" + strings.Repeat("a", MaxLength-9)},
		{"one more", "http://h/" + strings.Repeat("a", MaxLength-8), "TOO LONG"},
		{"grows by escaping", "http://h/" + strings.Repeat("é", MaxLength/4), "TOO LONG"},
		{"long fragment", "http://h/#" + strings.Repeat("a", maxRaw), "http://h/"},
		{"shrinks", "http://h/" + strings.Repeat("../", 1000) + "a", "http://h/a"},
		{"absurd", "http://h/" + strings.Repeat("a", maxRaw), "TOO LONG"},
		{"absurd with odd bytes", "http://h/é" + strings.Repeat("a", maxRaw), "TOO LONG"},
		{"slashes", "http://h/é" + strings.Repeat("/", maxSlashes), "INVALID"},
		{"backslashes", "http://h/" + strings.Repeat(`\`, maxSlashes), "INVALID"},
		{"at signs", "http://" + strings.Repeat("@", maxUserinfo+2) + "h/", "INVALID"},
		{"user information", "http://" + strings.Repeat("a", maxUserinfo) + "@h/", "http://h/"},
		{"long user information", "http:" + strings.Repeat("a", maxUserinfo+1) + "@h/", "INVALID"},
		{"at sign far down the path", "http://h/" + strings.Repeat("a", maxUserinfo) + "@", "http://h/" + strings.Repeat("a", maxUserinfo) + "@"},
		{"long data URL", "data:," + strings.Repeat("a", 10*maxRaw), "SCHEME"},
	}
	c := New(Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := c.Parse(tt.in)
			if got := outcome(u, err); got != tt.want {
				t.Errorf("got %.80q, want %.80q", got, tt.want)
			}
		})
	}
}

func TestMisreadHostsAreInvalid(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for _, host := range []string{
		"-1", "+1", "0x-1", "0x+1", "-0300.1", "+1.0", "1.-1", "%2B1", "＋1", "\u00ad-1", "－1", "-\u00ad1", "1.0x-2.",
		"xn--", "xn--.a", "a.xn--", "XN--", "[[::1]]", "[::1]]",
	} {
		if u, err := c.Parse("http://" + host + "/"); !errors.Is(err, ErrInvalid) {
			t.Errorf("host %q gives %q, %v", host, u, err)
		}
	}
	for _, host := range []string{"-a.example", "a+b.example", "1-1.example", "a.1-x.com"} {
		if _, err := c.Parse("http://" + host + "/"); err != nil {
			t.Errorf("host %q: %v", host, err)
		}
	}
}
