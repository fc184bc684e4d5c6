package certs_test

import (
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/weircrawl/weir/internal/certs"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		uris []string
		want string
	}{
		{nil, ""},
		{[]string{"spiffe://weir/fetcher"}, "fetcher"},
		{[]string{"https://weir/fetcher", "spiffe://weir/fetcher"}, "fetcher"},
		{[]string{"spiffe://cluster.local/ns/weir/sa/x"}, ""},
		{[]string{"spiffe://weir/fetcher", "spiffe://weir/scheduler"}, ""},
		{[]string{"spiffe://weir/"}, ""},
		{[]string{"spiffe://weirs/fetcher"}, ""},
		{[]string{"spiffe://weir/%66etcher"}, "%66etcher"},
	} {
		cert := new(x509.Certificate)
		for _, text := range tc.uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		if got := certs.Identity(cert); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.uris, got, tc.want)
		}
	}
}
