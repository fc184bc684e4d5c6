package authority_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
)

func config() authority.Config {
	return authority.Config{
		Now: time.Now(), Valid: 24 * time.Hour, AuthorityValid: 48 * time.Hour, Hosts: []string{"10.1.2.3", "crawl.example"}, Namespace: "weir",
	}
}

// leaf reads a service's certificate and checks it against the authorities beside it.
func leaf(t *testing.T, dir, service string) (cert *x509.Certificate, good bool) {
	t.Helper()
	files := authority.Files(dir, service)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(files.Authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return pair.Leaf, err == nil
}

func authorities(t *testing.T, dir, service string) int {
	t.Helper()
	pem, err := os.ReadFile(authority.Files(dir, service).Authority)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(pem), "BEGIN CERTIFICATE")
}

func TestInit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	if err := authority.Init(dir, config()); err != nil {
		t.Fatal(err)
	}
	for _, service := range certs.Identities() {
		cert, good := leaf(t, dir, service)
		if !good || certs.Identity(cert) != service {
			t.Errorf("%s: good %v, identity %q", service, good, certs.Identity(cert))
		}
		for _, host := range []string{"localhost", "127.0.0.1", "10.1.2.3", "crawl.example"} {
			if err := cert.VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", service, err)
			}
		}
		if left := time.Until(cert.NotAfter); left < 23*time.Hour || left > 25*time.Hour {
			t.Errorf("%s: good for %s", service, left)
		}
		if info, err := os.Stat(authority.Files(dir, service).Key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: key %v, %v", service, info, err)
		}
	}
	cert, _ := leaf(t, dir, certs.Storage)
	if err := cert.VerifyHostname("weir-storage.weir.svc.cluster.local"); err != nil {
		t.Error(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Init(dir, config()); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("a second time: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "ca.key")); !bytes.Equal(before, after) {
		t.Error("the key was overwritten")
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := authority.Renew(dir, config()); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("nothing there: %v", err)
	}
	if err := authority.Init(dir, config()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, certs.Console)); err != nil { // not used here
		t.Fatal(err)
	}
	old, _ := leaf(t, dir, certs.Parser)
	later := config()
	later.Now, later.Hosts = later.Now.Add(time.Hour), []string{"second.example"}
	if err := authority.Renew(dir, later); err != nil {
		t.Fatal(err)
	}
	cert, good := leaf(t, dir, certs.Parser)
	if !good || cert.SerialNumber.Cmp(old.SerialNumber) == 0 || !cert.NotAfter.After(old.NotAfter) {
		t.Errorf("good %v, serial %v, until %v", good, cert.SerialNumber, cert.NotAfter)
	}
	if want := append(slices.Clone(old.DNSNames), "second.example"); !slices.Equal(cert.DNSNames, want) {
		t.Errorf("names %v, want %v", cert.DNSNames, want)
	}
	if _, err := os.Stat(filepath.Join(dir, certs.Console)); err == nil {
		t.Error("a service that was removed has come back")
	}
	// It ends with its authority.
	later.Valid = 1000 * time.Hour
	if err := authority.Renew(dir, later); err != nil {
		t.Fatal(err)
	}
	if cert, good := leaf(t, dir, certs.Parser); !good || time.Until(cert.NotAfter) > 49*time.Hour {
		t.Errorf("good %v until %v", good, cert.NotAfter)
	}
}

func TestReplaceTheAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := authority.Init(dir, config()); err != nil {
		t.Fatal(err)
	}
	step := func(name string, f func() error, want int) {
		t.Helper()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		for _, service := range certs.Identities() {
			if _, good := leaf(t, dir, service); !good || authorities(t, dir, service) != want {
				t.Fatalf("%s: %s is good: %v, %d authorities, want %d", name, service, good, authorities(t, dir, service), want)
			}
		}
	}
	old, _ := leaf(t, dir, certs.Fetcher)
	step("replace", func() error { return authority.Replace(dir, config()) }, 2)
	if cert, _ := leaf(t, dir, certs.Fetcher); cert.SerialNumber.Cmp(old.SerialNumber) != 0 {
		t.Error("a certificate was replaced before all know the authority")
	}
	step("renew", func() error { return authority.Renew(dir, config()) }, 2)
	step("forget", func() error { return authority.Forget(dir) }, 1)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pem)
	if _, err := old.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("what the old authority signed is still good")
	}
}
