package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// issuerTime bounds a call of the issuer.
	issuerTime = 10 * time.Second
	// issuerPause is between two tries to reach an issuer that does not answer, and
	// between two looks for keys that it does not have: whoever sends made-up tokens must
	// not make us call it.
	issuerPause = 10 * time.Second
)

// issuer verifies the tokens of an OpenID Connect issuer. Its discovery document is read
// when the first token comes, its keys are kept. It is safe for concurrent use.
type issuer struct {
	cfg    OIDCConfig
	roles  map[string]Role
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	tried    time.Time
	failure  error
}

// newIssuer reaches nobody; nil without an issuer.
func newIssuer(cfg OIDCConfig) (*issuer, error) {
	if cfg.Issuer == "" {
		return nil, nil
	}
	roles, err := cfg.roles()
	if err != nil {
		return nil, err
	}
	pool, err := cfg.authorities()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: issuerTime,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
	return &issuer{cfg: cfg, roles: roles, client: &http.Client{Transport: &sparing{next: transport}, Timeout: issuerTime}}, nil
}

// verify returns the user of a token. The error says what is wrong with the token and
// has nothing of it.
func (i *issuer) verify(ctx context.Context, now time.Time, token string) (Caller, error) {
	v, err := i.discover(ctx, now)
	if err != nil {
		return Caller{}, status.Errorf(codes.Unavailable, "the issuer of tokens does not answer: %s", err)
	}
	t, err := v.Verify(ctx, token)
	if err != nil {
		return Caller{}, i.wrong(err)
	}
	var claims map[string]any
	if err := t.Claims(&claims); err != nil {
		return Caller{}, unauthenticated("the token's claims cannot be read")
	}
	name, _ := claim(claims, i.cfg.NameClaim).(string)
	if name == "" {
		return Caller{}, unauthenticated("the token has no claim %s with the name of its user", i.cfg.NameClaim)
	}
	// The prefix keeps a user of the issuer apart from a token of the same name.
	c := Caller{Name: "oidc:" + bounded(name)}
	for _, value := range texts(claim(claims, i.cfg.RolesClaim)) {
		c.Role = max(c.Role, i.roles[value])
	}
	if c.Role == Nobody {
		return Caller{}, denied("%s has no role here: the claim %s has none of the values of access.oidc.roles", c.Name, i.cfg.RolesClaim)
	}
	return c, nil
}

// wrong says why a token is refused.
func (i *issuer) wrong(err error) error {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return unauthenticated("the token has expired: get another from %s", i.cfg.Issuer)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, errSparing.Error()): // not wrapped by the library; with keys of a moment ago it is of no key
	case strings.Contains(text, "fetching keys"):
		return status.Error(codes.Unavailable, "the keys of the issuer of tokens cannot be read; try again")
	case strings.Contains(text, "audience"):
		return unauthenticated("the token is for another audience than %s", i.cfg.Audience)
	case strings.Contains(text, "different provider"):
		return unauthenticated("the token is of another issuer than %s", i.cfg.Issuer)
	}
	return unauthenticated("the token is not one of %s: its form or its signature is wrong", i.cfg.Issuer)
}

// discover reads the discovery document, once.
func (i *issuer) discover(ctx context.Context, now time.Time) (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil {
		return i.verifier, nil
	}
	if d := now.Sub(i.tried); i.failure != nil && d >= 0 && d < issuerPause {
		return nil, i.failure
	}
	i.tried = now
	// What is read is for all calls: it must not end with this one.
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), i.client), issuerTime)
	defer cancel()
	p, err := oidc.NewProvider(ctx, i.cfg.Issuer)
	if err != nil {
		i.failure = fmt.Errorf("read %s/.well-known/openid-configuration: %w", strings.TrimSuffix(i.cfg.Issuer, "/"), firstLine(err))
		return nil, i.failure
	}
	// The keys are read with a client that outlives this call.
	i.verifier = p.VerifierContext(oidc.ClientContext(context.Background(), i.client), &oidc.Config{ClientID: i.cfg.Audience})
	return i.verifier, nil
}

// firstLine bounds what an issuer answers instead.
func firstLine(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(bounded(text))
}

// claim finds a claim; a dot leads into an object, unless the whole name is a claim.
func claim(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	first, rest, ok := strings.Cut(path, ".")
	if inner, isMap := claims[first].(map[string]any); ok && isMap {
		return claim(inner, rest)
	}
	return nil
}

// texts reads a text, with spaces between several, or a list of texts.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// errSparing is the error of a request that came too soon after one that was answered.
var errSparing = errors.New("the keys were read a moment ago")

// errSilent is that of one after a request that was not.
var errSilent = errors.New("the issuer did not answer a moment ago")

// sparing lets a document be read once in issuerPause.
type sparing struct {
	next http.RoundTripper

	mu   sync.Mutex
	last map[string]reading // the two documents of one issuer, by URL
}

// reading is the last time that a document was read.
type reading struct {
	at       time.Time
	answered bool
}

// RoundTrip implements http.RoundTripper.
func (s *sparing) RoundTrip(r *http.Request) (*http.Response, error) {
	now, url := time.Now(), r.URL.String()
	if err := s.begin(now, url); err != nil {
		return nil, err
	}
	resp, err := s.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusOK {
		s.mu.Lock()
		s.last[url] = reading{at: now, answered: true}
		s.mu.Unlock()
	}
	return resp, err
}

func (s *sparing) begin(now time.Time, url string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[url]
	switch {
	case !ok || now.Sub(last.at) >= issuerPause:
	case last.answered:
		return errSparing
	default:
		return errSilent
	}
	if s.last == nil {
		s.last = map[string]reading{}
	}
	s.last[url] = reading{at: now}
	return nil
}
