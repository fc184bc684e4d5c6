// Package authority makes certificates for development, tests and small clusters: an
// authority of one's own, and a certificate with an identity for each service. Big
// clusters have something that does so by itself, like cert-manager; the files are the
// same.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/weircrawl/weir/internal/certs"
)

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// skew is how long before they are made certificates are good already, for machines
// whose clocks are behind.
const skew = time.Hour

// New makes an authority with a key of its own.
func New(name string, now time.Time, valid time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(valid),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	return &Authority{cert: cert, key: key}, nil
}

// Load reads an authority's certificate, the first where there are several, and its key,
// in PEM.
func Load(cert, key []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the authority: %w", err)
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("read the authority: not one that weir certs init has made")
	}
	return &Authority{cert: pair.Leaf, key: private}, nil
}

// Cert is the authority's certificate in PEM.
func (a *Authority) Cert() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Key is the authority's key in PEM: a secret.
func (a *Authority) Key() ([]byte, error) { return encodeKey(a.key) }

// Request is a certificate to make.
type Request struct {
	// Service whose identity it has; empty for none.
	Service string
	// Names of hosts, or addresses.
	Names []string
	// From and Until are when it begins to be good and ends to be.
	From, Until time.Time
}

// Issue makes a certificate, for servers and clients, and its key, in PEM. It ends with
// the authority at the latest.
func (a *Authority) Issue(r Request) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	if r.Until.After(a.cert.NotAfter) {
		r.Until = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"weir"}, CommonName: r.Service},
		NotBefore: r.From, NotAfter: r.Until,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if r.Service != "" {
		template.URIs = []*url.URL{certs.URI(r.Service)}
	}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate of %s: %w", r.Service, err)
	}
	if key, err = encodeKey(private); err != nil {
		return nil, nil, err
	}
	return encode("CERTIFICATE", der), key, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choose a serial number: %w", err)
	}
	return serial, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return encode("PRIVATE KEY", der), nil
}
