package certs

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Identities of the services and of those who call them: the last part of the URI in
// their certificates.
const (
	Scheduler = "scheduler"
	Fetcher   = "fetcher"
	Parser    = "parser"
	Storage   = "storage"
	Console   = "console"
	Admin     = "admin"
	Topology  = "topology"
	NATS      = "nats"
)

// Identities are all of them, in the order of the flow.
func Identities() []string {
	return []string{Scheduler, Fetcher, Parser, Storage, Console, Admin, Topology, NATS}
}

// prefix of our identities.
const prefix = "spiffe://weir/"

// URI returns the identity of a service as its certificate has it.
func URI(service string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: "weir", Path: "/" + service}
}

// Identity returns the service that a certificate names, "" when it names none of ours.
// It says nothing about whether the certificate may be believed: see VerifiedChains. One
// with several identities has none.
func Identity(cert *x509.Certificate) string {
	found := ""
	for _, u := range cert.URIs {
		if name, ok := strings.CutPrefix(u.String(), prefix); ok {
			if found != "" || name == "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// named reports whether a certificate has any URI of ours, however wrong.
func named(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.URIs, func(u *url.URL) bool {
		return strings.EqualFold(u.Scheme, "spiffe") && strings.EqualFold(u.Host, "weir")
	})
}

// checkServer returns nil when a certificate is that of one of the services that are
// wanted: by its identity, or where it has none of ours, by the host that was dialled.
func checkServer(cert *x509.Certificate, want, hosts []string) error {
	if named(cert) {
		if got := Identity(cert); !slices.Contains(want, got) {
			return fmt.Errorf("the server's certificate is of %s, want %s: is the address right?", cmp.Or(got, "no service"), strings.Join(want, " or "))
		}
		return nil
	}
	if slices.ContainsFunc(hosts, func(h string) bool { return cert.VerifyHostname(h) == nil }) {
		return nil
	}
	return fmt.Errorf("the server's certificate names neither %s%s nor the host %s: is the address right?",
		prefix, strings.Join(want, ", "+prefix), strings.Join(hosts, ", "))
}
