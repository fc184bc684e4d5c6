package access

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/weircrawl/weir/internal/config"
)

// Config says who may call. The zero value leaves everything open.
type Config struct {
	// TokensFile is the YAML file of tokens. Default: none.
	TokensFile string
	// AuditFile takes the audit log, a JSON object a line. Default: the program's log.
	AuditFile string
	// OIDC accepts the tokens of an issuer besides.
	OIDC OIDCConfig
}

// OIDCConfig names an issuer of OpenID Connect.
type OIDCConfig struct {
	// Issuer is its URL. Default: none, and nothing is fetched.
	Issuer string
	// Audience is what tokens must be for. Required with an issuer.
	Audience string
	// NameClaim has the name of the user. Default: sub.
	NameClaim string
	// RolesClaim has the roles, a text or a list; a dot leads into an object
	// (realm_access.roles). Default: roles.
	RolesClaim string
	// Roles maps values of that claim to ours, each VALUE=ROLE; the highest counts. A
	// user without one may do nothing. Default: weir-read=read, weir-submit=submit,
	// weir-admin=admin.
	Roles config.List
	// CAFile has certificates of authorities for the issuer, besides the system's.
	CAFile string
}

// DefaultConfig leaves everything open.
func DefaultConfig() Config {
	return Config{OIDC: OIDCConfig{
		NameClaim: "sub", RolesClaim: "roles",
		Roles: config.List{"weir-read=read", "weir-submit=submit", "weir-admin=admin"},
	}}
}

// RegisterFlags adds the flags.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.TokensFile, prefix+".tokens-file", c.TokensFile, "YAML file of tokens, their roles and quotas (weir token new makes one); with it callers need a token")
	fs.StringVar(&c.AuditFile, prefix+".audit-file", c.AuditFile, "file for a line about each change (default: the log)")
	fs.StringVar(&c.OIDC.Issuer, prefix+".oidc.issuer", c.OIDC.Issuer, "URL of an OpenID Connect issuer whose tokens are accepted")
	fs.StringVar(&c.OIDC.Audience, prefix+".oidc.audience", c.OIDC.Audience, "audience that its tokens must have")
	fs.StringVar(&c.OIDC.NameClaim, prefix+".oidc.name-claim", c.OIDC.NameClaim, "claim with the name of the user")
	fs.StringVar(&c.OIDC.RolesClaim, prefix+".oidc.roles-claim", c.OIDC.RolesClaim, "claim with the roles of the user; a dot leads into an object")
	fs.Var(&c.OIDC.Roles, prefix+".oidc.roles", "values of that claim and the roles that they give, VALUE=ROLE")
	fs.StringVar(&c.OIDC.CAFile, prefix+".oidc.ca-file", c.OIDC.CAFile, "PEM file with authorities for the issuer's certificate, besides the system's")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	o := c.OIDC
	if o.Issuer == "" {
		if o.Audience != "" {
			return errors.New("access: oidc.audience needs oidc.issuer")
		}
		return nil
	}
	var errs []error
	if u, err := url.Parse(o.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		errs = append(errs, errors.New("access: oidc.issuer: want an https:// URL"))
	}
	if o.Audience == "" {
		errs = append(errs, errors.New("access: oidc.audience is required with an issuer: without it a token for any other program would do"))
	}
	if o.NameClaim == "" || o.RolesClaim == "" {
		errs = append(errs, errors.New("access: oidc.name-claim and oidc.roles-claim must not be empty"))
	}
	if _, err := o.roles(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// roles reads the mapping.
func (c OIDCConfig) roles() (map[string]Role, error) {
	out := map[string]Role{}
	for _, pair := range c.Roles {
		i := strings.LastIndexByte(pair, '=')
		if i <= 0 {
			return nil, fmt.Errorf("access: oidc.roles: %q: want VALUE=ROLE", pair)
		}
		role, err := ParseRole(pair[i+1:])
		if err != nil {
			return nil, fmt.Errorf("access: oidc.roles: %q: %w", pair, err)
		}
		out[pair[:i]] = max(out[pair[:i]], role)
	}
	return out, nil
}

// authorities are those of the system and of CAFile; nil for the system's alone.
func (c OIDCConfig) authorities() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("access: oidc.ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("access: oidc.ca-file: %s holds no certificate", c.CAFile)
	}
	return pool, nil
}
