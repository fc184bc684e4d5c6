package access_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/config"
)

// issuer is a little OpenID Connect issuer.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu    sync.Mutex
	asked map[string]int
	down  bool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, asked: map[string]int{}}
	i.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asked[r.URL.Path]++
		down := i.down
		i.mu.Unlock()
		switch {
		case down:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case r.URL.Path == "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]any{
				"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
				"id_token_signing_alg_values_supported": []string{"RS256"},
			})
		case r.URL.Path == "/keys":
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
				"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one",
				"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
			}}})
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) times(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// sign makes a JWT.
func sign(t *testing.T, key *rsa.PrivateKey, kid string, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]any{"alg": "RS256", "kid": kid, "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// config makes a guard's configuration of an issuer.
func (i *issuer) config(t *testing.T) access.Config {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := access.DefaultConfig()
	cfg.OIDC.Issuer, cfg.OIDC.Audience, cfg.OIDC.CAFile = i.URL, "weir", ca
	cfg.OIDC.RolesClaim = "realm_access.roles"
	cfg.OIDC.Roles = config.List{"crawler=submit", "ops=admin", "everybody=read"}
	return cfg
}

func bearing(token string) context.Context {
	return metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer "+token))
}

const (
	reading  = "/weir.scheduler.v1.CrawlService/GetCrawl"
	writing  = "/weir.scheduler.v1.CrawlService/PauseCrawl"
	deleting = "/weir.scheduler.v1.CrawlService/DeleteCrawl"
)

func TestOIDC(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := i.config(t)
	cfg.TokensFile = filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(cfg.TokensFile, []byte("roles: {submit: {quotas: {weight: 7}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := access.New(cfg, access.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if i.times("/.well-known/openid-configuration") != 0 {
		t.Error("the issuer was asked before there was a token")
	}
	now := time.Now()
	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{
			"iss": i.URL, "aud": "weir", "sub": "alice", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(),
			"realm_access": map[string]any{"roles": []string{"crawler", "everybody"}},
		}
		change(c)
		return c
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := claims(func(map[string]any) {})
	c, err := g.Begin(bearing(sign(t, i.key, "one", good)), writing)
	if err != nil {
		t.Fatal(err)
	}
	if got := access.From(c.Context()); got.Name != "oidc:alice" || got.Role != access.Submit || got.Quotas.Weight != 7 {
		t.Errorf("caller %+v", got)
	}
	for _, tc := range []struct {
		name, token string
		code        codes.Code
		text        string
	}{
		{"role too small", sign(t, i.key, "one", good), codes.PermissionDenied, "needs the role admin; oidc:alice has submit"},
		{"no role", sign(t, i.key, "one", claims(func(c map[string]any) { delete(c, "realm_access") })), codes.PermissionDenied, "oidc:alice has no role here"},
		{"expired", sign(t, i.key, "one", claims(func(c map[string]any) { c["exp"] = now.Add(-time.Hour).Unix() })), codes.Unauthenticated, "has expired"},
		{"another audience", sign(t, i.key, "one", claims(func(c map[string]any) { c["aud"] = "mail" })), codes.Unauthenticated, "another audience than weir"},
		{"another issuer", sign(t, i.key, "one", claims(func(c map[string]any) { c["iss"] = "https://evil.test" })), codes.Unauthenticated, "another issuer"},
		{"no name", sign(t, i.key, "one", claims(func(c map[string]any) { delete(c, "sub") })), codes.Unauthenticated, "no claim sub"},
		{"another key", sign(t, other, "one", good), codes.Unauthenticated, "signature is wrong"},
		{"no algorithm", "eyJhbGciOiJub25lIn0." + strings.Split(sign(t, i.key, "one", good), ".")[1] + ".", codes.Unauthenticated, "not one of"},
		{"rubbish", "a.b.c", codes.Unauthenticated, "not one of"},
		{"no JWT", "abc", codes.Unauthenticated, "not known here"},
	} {
		_, err := g.Begin(bearing(tc.token), deleting)
		if status.Code(err) != tc.code || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), tc.token) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if n := i.times("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the discovery document was read %d times", n)
	}
	// Made-up key ids do not make us ask for keys again and again.
	for range 20 {
		if _, err := g.Begin(bearing(sign(t, other, rand.Text(), good)), reading); status.Code(err) == codes.OK {
			t.Fatal("a made-up key was believed")
		}
	}
	if n := i.times("/keys"); n > 2 {
		t.Errorf("the keys were read %d times", n)
	}
}

// An issuer that is down is no reason to refuse for good, nor to ask it at every call.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.setDown(true)
	now := time.Now()
	g, err := access.New(i.config(t), access.Deps{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, i.key, "one", map[string]any{"iss": i.URL, "aud": "weir", "sub": "bob", "exp": now.Add(time.Hour).Unix(), "realm_access": map[string]any{"roles": "ops"}})
	for range 5 {
		if _, err := g.Begin(bearing(token), reading); status.Code(err) != codes.Unavailable {
			t.Fatalf("got %v", err)
		}
	}
	if n := i.times("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestOIDCConfig(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*access.OIDCConfig)
		want   string
	}{
		"plain text":      {func(c *access.OIDCConfig) { c.Issuer = "http://x.test" }, "https://"},
		"no audience":     {func(c *access.OIDCConfig) { c.Audience = "" }, "oidc.audience is required"},
		"no issuer":       {func(c *access.OIDCConfig) { c.Issuer = "" }, "needs oidc.issuer"},
		"no such role":    {func(c *access.OIDCConfig) { c.Roles = config.List{"a=boss"} }, "want read, submit or admin"},
		"no role":         {func(c *access.OIDCConfig) { c.Roles = config.List{"a"} }, "want VALUE=ROLE"},
		"no claim":        {func(c *access.OIDCConfig) { c.RolesClaim = "" }, "must not be empty"},
		"everything fine": {func(*access.OIDCConfig) {}, ""},
	} {
		cfg := access.DefaultConfig()
		cfg.OIDC.Issuer, cfg.OIDC.Audience = "https://x.test", "weir"
		tc.change(&cfg.OIDC)
		if err := cfg.Validate(); (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
