package fetcher

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

const (
	// maxPrepared bounds the crawls remembered; more are prepared again.
	maxPrepared = 1024
	// maxRobots is how much of a robots.txt is read: RFC 9309 asks for 500 KiB.
	maxRobots = 512 << 10
	// maxValidator bounds an ETag or Last-Modified that is sent back.
	maxValidator = 256
	// accept is what a browser sends without its images.
	accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// prepared is what one revision of a crawl's spec asks of an exchange. Immutable, but
// for the health of its proxies.
type prepared struct {
	compiled *spec.Compiled
	page     *client.Options
	robots   *client.Options
	sent     []*crawlv1.Header // shared by all messages, Host left out
	grants   []grant
	retries  uint32
	cookies  bool
	secrets  secret.Lookup
	fault    error // why no exchange of the crawl can be done
}

func newPrepared(c *spec.Compiled, version string, secrets secret.Lookup, proxies []string) *prepared {
	f := c.Spec.GetFetch()
	p := &prepared{compiled: c, retries: f.GetRetries(), cookies: f.GetCookies(), secrets: secrets}
	h := http.Header{"Accept": {accept}}
	for name, value := range f.GetHeaders() {
		if !spec.IsCredential(name, value) {
			h.Set(name, value)
		}
	}
	h.Set("User-Agent", userAgent(f.GetUserAgent(), version))
	h.Set("Accept-Encoding", inflate.AcceptEncoding)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		p.sent = append(p.sent, &crawlv1.Header{Name: name, Value: []byte(h.Get(name))})
	}
	p.grant(f)
	p.page = &client.Options{
		Header: h, Timeout: f.GetTimeout().AsDuration(), MaxBody: f.GetMaxBody(), MinSpeed: f.GetMinSpeed(), Canon: c.Canon,
	}
	var err1, err2 error
	p.page.Setup, err1 = newSetup(f, secrets)
	p.page.Proxies, err2 = newProxies(f, secrets, proxies)
	p.fault = errors.Join(err1, err2)
	robots := *p.page
	robots.MaxBody = maxRobots // whatever the crawl wants of its pages
	p.robots = &robots
	return p
}

// userAgent puts the program's version into the default; a crawl's own stays.
func userAgent(ua, version string) string {
	if version != "" && ua == spec.Defaults().GetFetch().GetUserAgent() {
		return "Weir/" + version + " (+" + spec.Project + ")"
	}
	return ua
}

// newSetup returns what the crawl's connections have of their own.
func newSetup(f *crawlv1.Fetch, secrets secret.Lookup) (*client.Setup, error) {
	t := f.GetTls()
	cfg := client.SetupConfig{Roots: t.GetCa(), Cert: t.GetClientCert(), Insecure: t.GetInsecure(), Narrow: len(f.GetAllowNets()) > 0}
	if cfg.Cert != "" {
		key, err := secrets.Get(t.GetClientKeyEnv())
		if err != nil {
			return nil, fmt.Errorf("fetch.tls.client_key_env: %w", err)
		}
		cfg.Key = key
	}
	for _, n := range f.GetAllowNets() {
		prefix, err := spec.ParseNet(n)
		if err != nil {
			return nil, fmt.Errorf("fetch.allow_nets: %w", err)
		}
		cfg.Allow = append(cfg.Allow, prefix)
	}
	s, err := client.NewSetup(cfg)
	if err != nil {
		return nil, fmt.Errorf("fetch.tls: %w", err)
	}
	return s, nil
}

// newProxies returns the crawl's proxies, nil for none; allow are the patterns of those
// that may be used.
func newProxies(f *crawlv1.Fetch, secrets secret.Lookup, allow []string) (*client.Proxies, error) {
	texts := f.GetProxies()
	if f.GetProxy() != "" {
		texts = []string{f.GetProxy()}
	}
	if len(texts) == 0 {
		return nil, nil
	}
	list := make([]client.Proxy, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = newProxy(text, secrets); err != nil {
			return nil, fmt.Errorf("fetch.proxy: %w", err)
		}
		if !access.Allowed(allow, list[i].URL.Host) {
			return nil, fmt.Errorf("fetch.proxy: %s: the operator of this fetcher does not allow it (fetcher.proxy-allow)", list[i].Name)
		}
	}
	return client.NewProxies(list), nil
}

// newProxy puts the secrets into the address of a proxy. What may be a secret is in no
// error and in no name.
func newProxy(text string, secrets secret.Lookup) (client.Proxy, error) {
	name := ""
	p, err := spec.ParseProxy(text)
	if errors.Is(err, spec.ErrSecretProxy) {
		name = text
		var filled string
		if filled, err = secrets.Fill(text, nil); err != nil {
			return client.Proxy{}, err
		}
		if p, err = spec.ParseProxy(filled); err != nil {
			return client.Proxy{}, fmt.Errorf("%s has no address of a proxy: it %w", name, err)
		}
	}
	if err != nil {
		return client.Proxy{}, err
	}
	u := &url.URL{Scheme: p.Scheme, Host: p.Host}
	if name == "" {
		name = u.String()
	}
	if !p.HasUser {
		return client.Proxy{URL: u, Name: name}, nil
	}
	user, err1 := secrets.Fill(p.User, nil)
	password, err2 := secrets.Fill(p.Password, nil)
	u.User = url.UserPassword(user, password)
	return client.Proxy{URL: u, Name: name}, errors.Join(err1, err2)
}

func (p *prepared) options(kind crawlv1.TaskKind) *client.Options {
	if kind == crawlv1.TaskKind_TASK_KIND_ROBOTS {
		return p.robots
	}
	return p.page
}

// usable: a value that a request can carry. Sites send anything as an ETag; one
// that cannot be sent back costs a whole response and not the visit.
func usable(value string) bool {
	return value != "" && len(value) <= maxValidator &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}
