package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/crawl"
)

// Files are PEM files. Links are followed at every look, as the secrets of Kubernetes
// need.
type Files struct {
	// Cert and Key are the own certificate, with what stands between it and its
	// authority behind it, and its key; both or none.
	Cert, Key string
	// Authority holds the certificates that vouch for the other side; more than one
	// while an authority is being replaced. Empty for those of the machine.
	Authority string
}

// Deps are what a Keeper is given.
type Deps struct {
	// Use is what the certificate is for, as the metrics' label: grpc, nats, console.
	Use string
	// Log takes what was loaded, and what could not be.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
}

// Keeper has the newest good state of some files. It is safe for concurrent use, has no
// goroutine and need not be closed.
type Keeper struct {
	files Files
	log   *slog.Logger
	m     *metrics

	mu    sync.Mutex
	state *state
	bad   *state // what was complained about last, and is not complained about again
}

// state is what was in the files at one time.
type state struct {
	cert, key, authority []byte // as read
	err                  string // of a look that found nothing good

	pair *tls.Certificate // nil without
	pool *x509.CertPool   // nil for that of the machine
}

// Open reads the files. An error, of kind Invalid, says which file to mend.
func Open(files Files, deps Deps) (*Keeper, error) {
	if (files.Cert == "") != (files.Key == "") {
		return nil, crawl.Errorf(crawl.Invalid, "a certificate and its key go together: %q and %q", files.Cert, files.Key)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{files: files, log: deps.Log.With("component", "certs", "use", deps.Use)}
	first, err := k.read(nil)
	if err != nil {
		return nil, &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	k.state = first
	k.m = newMetrics(deps.Registry, deps.Use, k.expiry)
	return k, nil
}

// Server returns the configuration of a server that shows the certificate. With
// Files.Authority callers must show one that it has signed, or may where optional is
// true, for callers that show something else inside the connection; one that it has not
// signed is refused either way.
func (k *Keeper) Server(optional bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := k.fresh()
			if now.pair == nil {
				return nil, errors.New("this server has no certificate")
			}
			c := &tls.Config{
				MinVersion:   tls.VersionTLS12,
				Certificates: []tls.Certificate{*now.pair},
				NextProtos:   []string{"h2", "http/1.1"},
				// A session that is resumed would pass by an authority that has gone.
				SessionTicketsDisabled: true,
			}
			if now.pool != nil {
				c.ClientCAs, c.ClientAuth = now.pool, tls.RequireAndVerifyClientCert
				if optional {
					c.ClientAuth = tls.VerifyClientCertIfGiven
				}
			}
			return c, nil
		},
	}
}

// Client returns the configuration of a client of any of the services that are named, at
// any of some hosts: names or addresses without a port, which count where the server's
// certificate has no identity of ours. It shows the certificate to servers that ask.
func (k *Keeper) Client(hosts []string, services ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// The authority is that of this handshake and the server's identity need not be
		// its host's name, neither of which the standard check can do. VerifyConnection
		// does all of what it would.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(cs tls.ConnectionState) error {
			if cs.ServerName != "" { // not told for an address
				return k.verify(cs, []string{cs.ServerName}, services)
			}
			return k.verify(cs, hosts, services)
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if pair := k.fresh().pair; pair != nil {
				return pair, nil
			}
			return new(tls.Certificate), nil // none, which is for the server to judge
		},
	}
}

// verify checks the certificate that a server has shown.
func (k *Keeper) verify(cs tls.ConnectionState, hosts, services []string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the server shows no certificate")
	}
	leaf, between := cs.PeerCertificates[0], x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: k.fresh().pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("the server's certificate: %w", err)
	}
	return checkServer(leaf, services, hosts)
}

// Check looks at the files now and returns nil when they are good, what is used being
// good or not.
func (k *Keeper) Check() error {
	k.mu.Lock()
	old := k.state
	k.mu.Unlock()
	_, err := k.read(old)
	return err
}

// fresh returns what the files hold, or held when they were good last.
func (k *Keeper) fresh() *state {
	k.mu.Lock()
	defer k.mu.Unlock()
	next, err := k.read(k.state)
	switch {
	case err != nil:
		k.complain(next, err)
	case next != k.state:
		k.state, k.bad = next, nil
		k.m.reloads.Inc()
		attrs := []any{}
		if next.pair != nil {
			attrs = append(attrs, "serial", next.pair.Leaf.SerialNumber.Text(16), "until", next.pair.Leaf.NotAfter.UTC())
		}
		k.log.Info("certificates were replaced", attrs...)
	default:
		k.bad = nil
	}
	return k.state
}

// complain logs and counts a state of the files that cannot be used, once.
func (k *Keeper) complain(bad *state, err error) {
	if k.bad != nil && k.bad.same(bad) {
		return
	}
	k.bad = bad
	k.m.failures.Inc()
	k.log.Error("cannot use the certificates that are in the files now; the ones before stay in use", "err", err)
}

// same reports whether two looks found the same.
func (s *state) same(o *state) bool {
	return s.err == o.err && bytes.Equal(s.cert, o.cert) && bytes.Equal(s.key, o.key) && bytes.Equal(s.authority, o.authority)
}

// read looks at the files and returns old when they hold the same. A handshake costs a
// hundred times what this does. After an error the state says only what was found.
func (k *Keeper) read(old *state) (*state, error) {
	s := new(state)
	for _, f := range []struct {
		path string
		into *[]byte
	}{{k.files.Cert, &s.cert}, {k.files.Key, &s.key}, {k.files.Authority, &s.authority}} {
		if f.path == "" {
			continue
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			s.err = err.Error()
			return s, fmt.Errorf("read certificates: %w", err)
		}
		*f.into = data
	}
	if old != nil && s.same(old) {
		return old, nil
	}
	if err := s.parse(k.files); err != nil {
		return s, err
	}
	return s, nil
}

// parse makes what is used of what was read.
func (s *state) parse(files Files) error {
	if files.Cert != "" {
		pair, err := tls.X509KeyPair(s.cert, s.key)
		if err != nil {
			return fmt.Errorf("certificate %s with key %s: %w", files.Cert, files.Key, err)
		}
		if until := pair.Leaf.NotAfter; time.Now().After(until) {
			return fmt.Errorf("certificate %s ended at %s: renew it, for example with weir certs renew", files.Cert, until.UTC().Format(time.RFC3339))
		}
		s.pair = &pair
	}
	if files.Authority != "" {
		s.pool = x509.NewCertPool()
		if !s.pool.AppendCertsFromPEM(s.authority) {
			return fmt.Errorf("authority %s holds no certificate in PEM", files.Authority)
		}
	}
	return nil
}

// expiry is when the certificate in use ends, in seconds since 1970; 0 without one. It
// looks at the files, so that what is wrong with them shows before somebody connects.
func (k *Keeper) expiry() float64 {
	if pair := k.fresh().pair; pair != nil {
		return float64(pair.Leaf.NotAfter.Unix())
	}
	return 0
}
