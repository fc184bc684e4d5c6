package access

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/certs"
)

// Deps are what a guard is given.
type Deps struct {
	// Log takes what goes wrong, and the audit log where there is no file for it.
	Log *slog.Logger
	// Registry takes the metrics; nil for none.
	Registry prometheus.Registerer
	// Specs is what the operator lets any spec use.
	Specs Specs
	// ClientCA: the server verifies certificates of clients, so that callers need one, or
	// a token.
	ClientCA bool
	// Now is the time. Default: time.Now.
	Now func() time.Time
	// Trace returns the trace id of a call for the audit log. Default: that of the
	// metadata traceparent.
	Trace func(context.Context) string
}

// Guard decides about calls. It is safe for concurrent use. Close it after the last call.
type Guard struct {
	deps   Deps
	rules  map[string]Rule
	tokens *tokens
	issuer *issuer
	meter  *meter
	audit  *audit
	m      *metrics
}

// New opens the files of the configuration. Nothing is asked of an issuer before the
// first token of its.
func New(cfg Config, deps Deps) (_ *Guard, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Trace == nil {
		deps.Trace = traceOf
	}
	g := &Guard{deps: deps, rules: Rules(), meter: newMeter(maxAccounts), m: newMetrics(deps.Registry)}
	if g.tokens, err = openTokens(cfg.TokensFile, deps.Log); err != nil {
		return nil, err
	}
	if g.issuer, err = newIssuer(cfg.OIDC); err != nil {
		return nil, err
	}
	// Who changed something is not known where everybody may.
	if g.Open() && cfg.AuditFile == "" {
		return g, nil
	}
	if g.audit, err = openAudit(cfg.AuditFile, deps.Log); err != nil {
		return nil, err
	}
	return g, nil
}

// Close closes the audit log.
func (g *Guard) Close() error { return g.audit.close() }

// Open reports whether anybody may call anything: no tokens, no issuer and no authority
// of clients are configured.
func (g *Guard) Open() bool { return !g.Users() && !g.deps.ClientCA }

// Users reports whether callers may show a token, so that a server must take connections
// without a certificate of the client.
func (g *Guard) Users() bool { return g.tokens != nil || g.issuer != nil }

// Call is one call that was admitted. It is not safe for concurrent use.
type Call struct {
	g      *Guard
	ctx    context.Context
	method string
	rule   Rule
	caller Caller
	via    string // service that calls for the user
	target string
	urls   int
}

// Begin decides whether the call of a method may go on. The error has the code
// UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED and says what to do.
func (g *Guard) Begin(ctx context.Context, method string) (*Call, error) {
	rule, ok := g.rules[method]
	c := &Call{g: g, ctx: ctx, method: method, rule: rule}
	if !ok {
		return nil, c.refused(denied("%s is in no rule of access, so that nobody may call it", short(method)))
	}
	if rule.Least == Nobody {
		return c, nil
	}
	if g.Open() {
		c.caller = Caller{Role: Admin}
		return c, nil
	}
	now := g.deps.Now()
	var err error
	if c.caller, c.via, err = g.authenticate(ctx, now); err != nil {
		return nil, c.refused(err)
	}
	if !rule.permits(c.caller) {
		return nil, c.refused(deniedTo(c.caller, rule, method))
	}
	if c.via == "" && c.caller.Service == "" {
		if wait, ok := g.meter.request(now, c.caller); !ok {
			return nil, c.refused(exhausted(wait, "%s makes more than %d requests a second: come again in %s", c.caller.Name, c.caller.Quotas.RequestsPerSecond, wait.Round(time.Millisecond)))
		}
	}
	c.ctx = With(ctx, c.caller)
	return c, nil
}

// deniedTo says what a caller lacks.
func deniedTo(c Caller, r Rule, method string) error {
	switch {
	case c.Service == certs.Console:
		return denied("%s needs a user: the console passes on the token of who uses it, and has no rights of its own", short(method))
	case c.Service != "":
		return denied("%s is nothing that the service %s may call", short(method), c.Service)
	}
	return denied("%s needs the role %s; %s has %s: ask the operator", short(method), r.Least, c.Name, c.Role)
}

// authenticate finds out who calls, and which service calls for a user.
func (g *Guard) authenticate(ctx context.Context, now time.Time) (c Caller, via string, err error) {
	service, certified := peerIdentity(ctx)
	md, _ := metadata.FromIncomingContext(ctx)
	if forwarded := md.Get(ForwardedKey); certified && service.Service == certs.Scheduler && len(forwarded) == 1 {
		c, err := parseForwarded(forwarded[0])
		if err != nil {
			return c, "", denied("the call of a scheduler names no user that can be read")
		}
		return c, service.Service, nil
	}
	if given := md.Get("authorization"); len(given) > 0 {
		token, ok := bearer(given)
		if !ok {
			return c, "", unauthenticated("authorization: want Bearer and a token, once")
		}
		c, err := g.user(ctx, now, token)
		return c, "", err
	}
	if certified {
		return service, "", nil
	}
	if !g.Users() {
		return c, "", unauthenticated("this server wants the certificate of a service, with a URI such as spiffe://weir/admin: set --tls-cert and --tls-key")
	}
	return c, "", unauthenticated("this server wants a token: set WEIR_TOKEN or --token-file; `weir token new` makes one for the operator's file")
}

// maxToken bounds what is looked at of a token. A JWT with many groups has some KiB.
const maxToken = 16 << 10

// bearer takes the token out of a header.
func bearer(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != "" && len(token) <= maxToken
}

// user finds the user of a token.
func (g *Guard) user(ctx context.Context, now time.Time, token string) (Caller, error) {
	file := g.tokens.current(now)
	if t, ok := find(file.Tokens, HashOf(token)); ok {
		if !t.Expires.IsZero() && !now.Before(t.Expires) {
			return Caller{}, unauthenticated("the token %s expired at %s: ask the operator for another", t.Caller.Name, t.Expires.UTC().Format(time.RFC3339))
		}
		return t.Caller, nil
	}
	if g.issuer != nil && strings.Count(token, ".") == 2 {
		c, err := g.issuer.verify(ctx, now, token)
		if err != nil {
			return Caller{}, err
		}
		rules := file.Roles[c.Role]
		c.Quotas, c.Specs = rules.Quotas, rules.Specs
		return c, nil
	}
	return Caller{}, unauthenticated("the token is not known here: it was taken back, or is for another server")
}

// peerIdentity returns the service that a verified certificate of the client names.
func peerIdentity(ctx context.Context) (Caller, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Caller{}, false
	}
	return identity(info.State.VerifiedChains[0][0])
}

// Context is that of the call, with its caller; see From.
func (c *Call) Context() context.Context { return c.ctx }

// Message judges a request of the call: quotas of URLs, what a spec may use.
func (c *Call) Message(m any) error {
	msg, ok := m.(proto.Message)
	if !ok || c.rule.Least == Nobody {
		return nil
	}
	if c.target == "" && c.rule.Changes {
		c.target = targetOf(msg)
	}
	a := look(msg)
	if a.spec != nil {
		err := errors.Join(c.g.deps.Specs.check("the operator of this server", a.spec), c.caller.Specs.check("the operator, for "+c.caller.Name+",", a.spec))
		if a.crawl {
			err = errors.Join(err, c.caller.Quotas.check(a.spec))
		}
		if err != nil {
			return c.refused(denied("%s", strings.ReplaceAll(err.Error(), "\n", "; ")))
		}
	}
	if a.urls > 0 && c.via == "" {
		if wait, ok := c.g.meter.urls(c.g.deps.Now(), c.caller, a.urls); !ok {
			return c.refused(exhausted(wait, "%s adds more than %d URLs a minute: go on after what was acknowledged in %s", c.caller.Name, c.caller.Quotas.URLsPerMinute, wait.Round(time.Second)))
		}
	}
	c.urls += a.urls
	return nil
}

// refused counts an error.
func (c *Call) refused(err error) error {
	c.g.m.refused(status.Code(err))
	if c.ctx != nil && c.rule.Changes {
		c.write(status.Code(err))
	}
	c.rule.Changes = false // the line is written
	return err
}

// End writes the line of a call that changes something. resp is its answer, nil for a
// stream or an error.
func (c *Call) End(resp any, code codes.Code) {
	if !c.rule.Changes {
		return
	}
	if msg, ok := resp.(proto.Message); ok && code == codes.OK {
		if made := targetOf(msg); made != "" {
			c.target = made
		}
	}
	c.write(code)
}

// write writes the line.
func (c *Call) write(code codes.Code) {
	if c.g.audit == nil {
		return
	}
	l := line{
		caller: c.caller, via: c.via, method: short(c.method), target: c.target, urls: c.urls,
		outcome: code, trace: c.g.deps.Trace(c.ctx),
	}
	if p, ok := peer.FromContext(c.ctx); ok && p.Addr != nil {
		l.from = p.Addr.String()
	}
	c.g.audit.write(c.ctx, c.g.deps.Now(), l)
}

// short is a method without the package.
func short(method string) string {
	return method[strings.LastIndexByte(method[:strings.LastIndexByte(method, '/')+1], '.')+1:]
}

// traceOf returns the trace id of a W3C traceparent.
func traceOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, text := range md.Get("traceparent") {
		if parts := strings.Split(text, "-"); len(parts) == 4 && len(parts[1]) == 32 {
			return parts[1]
		}
	}
	return ""
}
