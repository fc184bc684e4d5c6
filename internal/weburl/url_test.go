package weburl

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type parts struct {
	Scheme, Host, Port, HostPort, Origin, Path, PathQuery, Site, Addr string
}

func TestParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want parts
	}{
		{"http://www.shop.example/a/b?c=d", parts{"http", "www.shop.example", "", "www.shop.example", "http://www.shop.example", "/a/b", "/a/b?c=d", "shop.example", ""}},
		{"https://a.b.co.uk:8443/?", parts{"https", "a.b.co.uk", "8443", "a.b.co.uk:8443", "https://a.b.co.uk:8443", "/", "/?", "b.co.uk", ""}},
		{"http://127.0.0.2:8080/", parts{"http", "127.0.0.2", "8080", "127.0.0.2:8080", "http://127.0.0.2:8080", "/", "/", "127.0.0.2", "127.0.0.2"}},
		{"https://[2001:db8::1]/x", parts{"https", "2001:db8::1", "", "[2001:db8::1]", "https://[2001:db8::1]", "/x", "/x", "2001:db8::1", "2001:db8::1"}},
		{"http://[::1]:81/x", parts{"http", "::1", "81", "[::1]:81", "http://[::1]:81", "/x", "/x", "::1", "::1"}},
		{"http://localhost/", parts{"http", "localhost", "", "localhost", "http://localhost", "/", "/", "localhost", ""}},
		{"http://co.uk/", parts{"http", "co.uk", "", "co.uk", "http://co.uk", "/", "/", "co.uk", ""}},
		{"http://www.example.com./", parts{"http", "www.example.com.", "", "www.example.com.", "http://www.example.com.", "/", "/", "example.com", ""}},
		{"http://x.github.io/", parts{"http", "x.github.io", "", "x.github.io", "http://x.github.io", "/", "/", "x.github.io", ""}},
	}
	c := New(Options{})
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			u, err := c.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			got := parts{u.Scheme(), u.Host(), u.Port(), u.HostPort(), u.Origin(), u.Path(), u.PathQuery(), u.Site(), ""}
			if a, ok := u.Addr(); ok {
				got.Addr = a.String()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestZeroURL(t *testing.T) {
	t.Parallel()
	var u URL
	if _, ok := u.Addr(); ok || !u.IsZero() {
		t.Error("the zero URL is not zero")
	}
	if s := u.String() + u.Scheme() + u.Host() + u.Port() + u.HostPort() + u.Origin() + u.Path() + u.PathQuery() + u.Site(); s != "" {
		t.Errorf("the zero URL has parts: %q", s)
	}
}

func TestFromCanonical(t *testing.T) {
	t.Parallel()
	bad := []string{
		"", "x", "http:", "http://", "http:///", "http://h", "https://h?x", "ftp://h/", "http://h:/", "http://h:x/", "http://h:65536/",
		"http://h:080/", "http://h:123456/", "http://H/", "http://u@h/", "http://[/", "http://[]/", "http://[::1/", "http://[::1]x/", "http://[x]/",
		"http://[::1%25e]/", "http://[1.2.3.4]/", "http://:80/", "http://h/ ", "http://h/#", "http://h/é", "http://h/\x00", "http://h/\n", "//h/",
		" http://h/", "http://h\\/", "http://h%41/", "http://é/", "http://h/" + strings.Repeat("a", MaxLength),
	}
	for _, s := range bad {
		if u, err := FromCanonical(s); err == nil || !u.IsZero() {
			t.Errorf("FromCanonical(%.40q) = %.40q, %v", s, u, err)
		}
	}
	if _, err := FromCanonical("http://h/" + strings.Repeat("a", MaxLength)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if u, err := FromCanonical("http://h_1!:8/%zz?'[]"); err != nil || u.Host() != "h_1!" || u.Port() != "8" {
		t.Errorf("got %+v, %v", u, err)
	}
}

// The hashes are part of what is stored: they must never change.
func TestHashesAreStable(t *testing.T) {
	t.Parallel()
	u, err := FromCanonical("http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.Key().String(), "2a1b402420ef46577471cdc7"; got != want {
		t.Errorf("Key = %s, want %s", got, want)
	}
	sum := sha256.Sum256([]byte("http://example.com"))
	if got, want := u.HostID(), binary.BigEndian.Uint64(sum[:]); got != want {
		t.Errorf("HostID = %x, want %x", got, want)
	}
	sum = sha256.Sum256([]byte("example.com"))
	if got, want := Partition("example.com", 64), uint32(binary.BigEndian.Uint64(sum[:])%64); got != want {
		t.Errorf("Partition = %d, want %d", got, want)
	}
	if Partition("example.com", 0) != 0 || Partition("example.com", 1) != 0 {
		t.Error("Partition of 0 or 1 is not 0")
	}
	long := strings.Repeat("a", 1000)
	if sum := sha256.Sum256([]byte(long)); KeyOf(long) != Key(sum[:12]) {
		t.Error("KeyOf of a long string")
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	k := KeyOf("http://example.com/")
	if got, err := ParseKey(k.String()); err != nil || got != k {
		t.Errorf("ParseKey(%s) = %s, %v", k, got, err)
	}
	for _, s := range []string{"", "0f", k.String() + "00", "zz" + k.String()[2:]} {
		if got, err := ParseKey(s); err == nil {
			t.Errorf("ParseKey(%q) = %s", s, got)
		}
	}
}

func TestPartitionsAreEven(t *testing.T) {
	t.Parallel()
	const n, sites = 16, 16000
	var count [n]int
	for i := range sites {
		count[Partition(fmt.Sprintf("site%d.example", i), n)]++
	}
	for p, c := range count {
		if c < sites/n*8/10 || c > sites/n*12/10 {
			t.Errorf("partition %d has %d of %d sites", p, c, sites)
		}
	}
}

func TestAddrOfNames(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for in, want := range map[string]netip.Addr{
		"http://0x7f.1/":           netip.MustParseAddr("127.0.0.1"),
		"http://[::ffff:1.2.3.4]/": netip.MustParseAddr("::ffff:1.2.3.4"),
		"http://a1.example/":       {},
		"http://face/":             {},
	} {
		u, err := c.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := u.Addr(); got != want || ok != want.IsValid() {
			t.Errorf("%s: Addr = %v, %v", in, got, ok)
		}
	}
}
