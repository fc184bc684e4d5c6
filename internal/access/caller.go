package access

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"

	"github.com/weircrawl/weir/internal/certs"
)

// Role is what a caller may do; each includes those before it.
type Role uint8

// The roles.
const (
	// Nobody may call only what is open to all: health.
	Nobody Role = iota
	// Read looks at crawls, hosts, pages and items.
	Read
	// Submit creates crawls, adds to them and steers them.
	Submit
	// Admin deletes, changes how hosts are treated and retries dead letters.
	Admin
)

// roleNames are the roles as people write them.
var roleNames = [...]string{Nobody: "nobody", Read: "read", Submit: "submit", Admin: "admin"}

// String returns the name of the role.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role(%d)", r)
}

// ParseRole reads read, submit or admin.
func ParseRole(s string) (Role, error) {
	for _, r := range []Role{Read, Submit, Admin} {
		if s == r.String() {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("role %q: want read, submit or admin", s)
}

// Caller is who calls.
type Caller struct {
	// Name of a token, of an OIDC user or of a service; empty where everything is open.
	Name string
	// Role of a user. That of a service is Nobody: the table says what it may call.
	Role Role
	// Service is the service that a certificate names, empty for users.
	Service string
	// Quotas bound what the caller uses.
	Quotas Quotas
	// Specs bound what its crawls may use.
	Specs Specs
}

// Owner is the name that a crawl of the caller remembers; empty for services and where
// everything is open.
func (c Caller) Owner() string {
	if c.Service != "" {
		return ""
	}
	return c.Name
}

// callerKey is the key of a Caller in a context.
type callerKey struct{}

// With returns a context of a call by c.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns who calls; the zero Caller for calls inside a process, which nothing bounds.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// ForwardedKey is the metadata in which a scheduler tells another one for whom it calls.
// Only the certificate of a scheduler makes it count.
const ForwardedKey = "weir-caller"

// forwardedCaller is a Caller on the wire.
type forwardedCaller struct {
	Name   string `json:"name"`
	Role   string `json:"role"`
	Quotas Quotas `json:"quotas"`
}

// Forward writes a user for ForwardedKey; empty for a service and where everything is open.
func (c Caller) Forward() string {
	if c.Service != "" || c.Role == Nobody {
		return ""
	}
	text, err := json.Marshal(forwardedCaller{Name: c.Name, Role: c.Role.String(), Quotas: c.Quotas})
	if err != nil { // no such value can be made
		return ""
	}
	return string(text)
}

// parseForwarded reads what Forward wrote.
func parseForwarded(text string) (Caller, error) {
	var f forwardedCaller
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return Caller{}, fmt.Errorf("read %s: %w", ForwardedKey, err)
	}
	role, err := ParseRole(f.Role)
	if err != nil {
		return Caller{}, fmt.Errorf("read %s: %w", ForwardedKey, err)
	}
	return Caller{Name: f.Name, Role: role, Quotas: f.Quotas}, nil
}

// identity returns the caller that a verified certificate names. That of admin is no
// service but people.
func identity(leaf *x509.Certificate) (Caller, bool) {
	switch name := certs.Identity(leaf); name {
	case certs.Admin:
		return Caller{Name: name, Role: Admin}, true
	case certs.Scheduler, certs.Fetcher, certs.Parser, certs.Storage, certs.Console:
		return Caller{Name: name, Service: name}, true
	}
	return Caller{}, false
}
