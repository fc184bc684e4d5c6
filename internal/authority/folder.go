package authority

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
)

// A folder holds an authority and what it has signed, one folder a service with the
// names that cert-manager gives:
//
//	DIR/ca.crt        the authorities that count, the newest first
//	DIR/ca.key        the newest's key: keep it away from the services
//	DIR/fetcher/      ca.crt, tls.crt, tls.key
//	…

// Names of the files in the folder of a service.
const (
	CertFile      = "tls.crt"
	KeyFile       = "tls.key"
	AuthorityFile = "ca.crt"

	authorityKeyFile = "ca.key"
)

// Config says how long certificates are good and what hosts they name.
type Config struct {
	// Now is the time.
	Now time.Time
	// Valid is how long a service's certificate is good, AuthorityValid how long an
	// authority is.
	Valid, AuthorityValid time.Duration
	// Hosts are names and addresses of the machines that services run on, beside
	// localhost and the services' own names in a cluster.
	Hosts []string
	// Namespace of the cluster, for the services' names.
	Namespace string
}

// Files are the paths of a service's files in dir.
func Files(dir, service string) certs.Files {
	at := func(name string) string { return filepath.Join(dir, service, name) }
	return certs.Files{Cert: at(CertFile), Key: at(KeyFile), Authority: at(AuthorityFile)}
}

// Init makes an authority and a certificate for every service. It is an error of kind
// Precondition when there is an authority in dir.
func Init(dir string, cfg Config) error {
	if _, err := os.Lstat(filepath.Join(dir, AuthorityFile)); !errors.Is(err, fs.ErrNotExist) {
		return crawl.Errorf(crawl.Precondition, "%s has an authority already: weir certs renew %s makes its certificates anew", dir, dir)
	}
	a, err := New("Weir authority "+cfg.Now.UTC().Format("2006-01-02"), cfg.Now, cfg.AuthorityValid)
	if err != nil {
		return err
	}
	if err := writeAuthority(dir, a, nil); err != nil {
		return err
	}
	for _, service := range certs.Identities() {
		if err := issue(dir, a, service, cfg.names(service), cfg); err != nil {
			return err
		}
	}
	return shareAuthorities(dir)
}

// names are the hosts in a service's certificate.
func (c Config) names(service string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	host := "weir-" + service
	if service == certs.NATS {
		host = service
	}
	names = append(names, host)
	if c.Namespace != "" {
		of := host + "." + c.Namespace
		// The servers of a StatefulSet, too.
		names = append(names, of, of+".svc", of+".svc.cluster.local", "*."+of+".svc.cluster.local")
	}
	return append(names, c.Hosts...)
}

// Renew makes the certificates of dir anew, with the same names and Config.Hosts, signed
// by the newest authority. What reads them may do so at any time.
func Renew(dir string, cfg Config) error {
	a, err := load(dir)
	if err != nil {
		return err
	}
	found := 0
	for _, service := range certs.Identities() {
		old, err := os.ReadFile(Files(dir, service).Cert)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("renew the certificate of %s: %w", service, err)
		}
		names, err := namesOf(old)
		if err != nil {
			return fmt.Errorf("renew the certificate of %s: %w", service, err)
		}
		for _, h := range cfg.Hosts {
			if !slices.Contains(names, h) {
				names = append(names, h)
			}
		}
		if err := issue(dir, a, service, names, cfg); err != nil {
			return err
		}
		found++
	}
	if found == 0 {
		return crawl.Errorf(crawl.Precondition, "%s has no certificates to renew: weir certs init %s makes them", dir, dir)
	}
	return nil
}

// Replace adds a new authority, which signs from the next Renew on. Both count from now
// on, and the services must know before that: see Forget.
func Replace(dir string, cfg Config) error {
	if _, err := load(dir); err != nil {
		return err
	}
	old, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return fmt.Errorf("read the authority: %w", err)
	}
	a, err := New("Weir authority "+cfg.Now.UTC().Format("2006-01-02 15:04:05"), cfg.Now, cfg.AuthorityValid)
	if err != nil {
		return err
	}
	if err := writeAuthority(dir, a, old); err != nil {
		return err
	}
	return shareAuthorities(dir)
}

// Forget has only the newest authority count. Services whose certificates are of an
// older one are not believed from then on: Renew first.
func Forget(dir string) error {
	a, err := load(dir)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, AuthorityFile), a.Cert(), 0o644); err != nil {
		return err
	}
	return shareAuthorities(dir)
}

func load(dir string) (*Authority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, crawl.Errorf(crawl.Precondition, "%s has no authority: weir certs init %s makes one", dir, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, authorityKeyFile))
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	return Load(cert, key)
}

// writeAuthority writes an authority before those that count too. The certificates
// first: with a key that is not the first's, nothing is signed.
func writeAuthority(dir string, a *Authority, before []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of certificates: %w", err)
	}
	key, err := a.Key()
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, AuthorityFile), append(a.Cert(), before...), 0o644); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, authorityKeyFile), key, 0o600)
}

// shareAuthorities gives every service the authorities that count.
func shareAuthorities(dir string) error {
	all, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return fmt.Errorf("read the authority: %w", err)
	}
	for _, service := range certs.Identities() {
		if _, err := os.Stat(filepath.Join(dir, service)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := replaceFile(Files(dir, service).Authority, all, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func issue(dir string, a *Authority, service string, names []string, cfg Config) error {
	cert, key, err := a.Issue(Request{Service: service, Names: names, From: cfg.Now.Add(-skew), Until: cfg.Now.Add(cfg.Valid)})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, service), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", service, err)
	}
	files := Files(dir, service)
	if err := replaceFile(files.Key, key, 0o600); err != nil {
		return err
	}
	return replaceFile(files.Cert, cert, 0o644)
}

// namesOf are the hosts that a certificate names.
func namesOf(cert []byte) ([]string, error) {
	block, _ := pem.Decode(cert)
	if block == nil {
		return nil, errors.New("no certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names, nil
}

// replaceFile puts a file in place at once.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
