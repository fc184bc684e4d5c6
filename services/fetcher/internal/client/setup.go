package client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Setup is what exchanges must have in common to share connections. Immutable; nil
// stands for the one that most crawls have, the system's certificates and all that the
// operator allows.
type Setup struct {
	key    [sha256.Size]byte
	tls    func(*tls.Config)
	narrow bool
	allow  []netip.Prefix
}

// SetupConfig says what is special about a setup.
type SetupConfig struct {
	// Roots are certificates of authorities besides the client's own, in PEM form.
	Roots string
	// Cert and Key are the client's certificate, in PEM form.
	Cert, Key string
	// Insecure accepts any certificate.
	Insecure bool
	// Narrow leaves of the networks that the operator allows only those in Allow.
	Narrow bool
	Allow  []netip.Prefix
}

// NewSetup makes a setup; nil for a config with nothing in it. What is wrong with the
// certificates is an error.
func NewSetup(cfg SetupConfig) (*Setup, error) {
	if cfg.Roots == "" && cfg.Cert == "" && !cfg.Insecure && !cfg.Narrow {
		return nil, nil
	}
	var roots []*x509.Certificate
	if cfg.Roots != "" {
		var err error
		if roots, err = certificates(cfg.Roots); err != nil {
			return nil, fmt.Errorf("certificates of authorities: %w", err)
		}
	}
	var own []tls.Certificate
	if cfg.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(cfg.Cert), []byte(cfg.Key))
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		own = append(own, pair)
	}
	allow := slices.Clone(cfg.Allow)
	slices.SortFunc(allow, func(a, b netip.Prefix) int { return a.Compare(b) })
	s := &Setup{
		key:    sha256.Sum256(fmt.Appendf(nil, "%q %q %q %v %v %v", cfg.Roots, cfg.Cert, cfg.Key, cfg.Insecure, cfg.Narrow, allow)),
		narrow: cfg.Narrow,
		allow:  allow,
	}
	s.tls = func(c *tls.Config) {
		if len(roots) > 0 {
			c.RootCAs = withRoots(c.RootCAs, roots)
		}
		c.Certificates = append(c.Certificates, own...)
		c.InsecureSkipVerify = cfg.Insecure
	}
	return s, nil
}

// withRoots adds certificates to a pool, the system's where there is none.
func withRoots(pool *x509.CertPool, roots []*x509.Certificate) *x509.CertPool {
	if pool != nil {
		pool = pool.Clone()
	} else if system, err := x509.SystemCertPool(); err == nil {
		pool = system
	} else {
		pool = x509.NewCertPool()
	}
	for _, c := range roots {
		pool.AddCert(c)
	}
	return pool
}

// Roots returns the system's certificates with those of pem beside them, for
// Config.TLS.
func Roots(pem string) (*x509.CertPool, error) {
	roots, err := certificates(pem)
	if err != nil {
		return nil, err
	}
	return withRoots(nil, roots), nil
}

func certificates(text string) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for rest := []byte(text); ; {
		var der []byte
		if der, rest = nextCertificate(rest); der == nil {
			break
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("no certificate in PEM form")
	}
	return list, nil
}
