package spec

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/secret"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

const (
	// maxProxies bounds a list of proxies: each has a state of its own in every fetcher.
	maxProxies = 256
	// maxAllowNets bounds the networks, since each is compared at every dial.
	maxAllowNets = 64
	// maxBrowserSteps bounds what is done on a page.
	maxBrowserSteps = 50
	// maxMinSpeed is beyond what anybody would call slow.
	maxMinSpeed = 10 << 20
)

func (c *checker) fetch(s *crawlv1.Fetch) {
	if hasControl(s.GetUserAgent()) {
		c.addf("fetch.user_agent", "must be one line of printable characters")
	}
	for _, name := range sortedKeys(s.GetHeaders()) {
		c.header("fetch.headers."+name, name, s.GetHeaders()[name])
	}
	if s.GetTimeout() != nil {
		c.duration("fetch.timeout", s.GetTimeout(), time.Millisecond, 10*time.Minute)
	}
	if s == nil {
		return
	}
	if s.MaxBody != nil && (s.GetMaxBody() < 1 || s.GetMaxBody() > 256<<20) {
		c.addf("fetch.max_body", "must be between 1 and 256MiB, not %s", FormatSize(s.GetMaxBody()))
	}
	c.between("fetch.max_redirects", uint64(s.GetMaxRedirects()), 0, 50)
	c.between("fetch.retries", uint64(s.GetRetries()), 0, 20)
	if n := s.GetMinSpeed(); n < 0 || n > maxMinSpeed {
		c.addf("fetch.min_speed", "must be between 0 (no bound) and %s a second, not %s", FormatSize(maxMinSpeed), FormatSize(n))
	}
	c.proxies(s)
	c.auth(s)
	c.tls(s.GetTls())
	c.allowNets(s.GetAllowNets())
	c.enum("fetch.render", int32(s.GetRender()), crawlv1.Render_name)
	c.browser(s.GetBrowser())
}

func (c *checker) header(path, name, value string) {
	switch strings.ToLower(name) {
	case "user-agent":
		c.addf(path, "is set with fetch.user_agent")
		return
	case "host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding", "accept-encoding",
		"trailer", "te", "upgrade", "keep-alive", "proxy-connection", "expect":
		c.addf(path, "is set by the fetcher itself")
		return
	case "proxy-authorization":
		c.addf(path, "is set with the user and password of fetch.proxy: http://user:password@proxy.example:3128")
		return
	}
	if !isToken(name) {
		c.addf(path, "%q is not the name of a header", name)
	}
	if hasControl(value) {
		c.addf(path, "must be one line of printable characters")
	}
}

func (c *checker) proxies(s *crawlv1.Fetch) {
	if s.GetProxy() != "" && len(s.GetProxies()) > 0 {
		c.addf("fetch.proxies", "and fetch.proxy are both given; give one")
	}
	if s.GetProxy() != "" {
		c.proxy("fetch.proxy", s.GetProxy())
	}
	if n := len(s.GetProxies()); n > maxProxies {
		c.addf("fetch.proxies", "must not have more than %d proxies, not %d", maxProxies, n)
		return
	}
	for i, p := range s.GetProxies() {
		c.proxy(index("fetch.proxies", i), p)
	}
}

// proxy leaves the address out of what it says: there may be a password in it.
func (c *checker) proxy(path, text string) {
	if _, err := ParseProxy(text); err != nil && !errors.Is(err, ErrSecretProxy) {
		c.addf(path, "%s, such as http://user:{WEIR_SECRET_PROXY}@proxy.example:3128", err)
	}
}

func (c *checker) auth(s *crawlv1.Fetch) {
	basic, bearer := s.GetBasicAuth(), s.GetBearerAuth()
	if basic != nil {
		if basic.GetUser() == "" || strings.ContainsRune(basic.GetUser(), ':') || hasControl(basic.GetUser()) {
			c.addf("fetch.basic_auth.user", "must be the name of a user, without a colon")
		}
		c.env("fetch.basic_auth.password_env", basic.GetPasswordEnv())
		c.authHosts("fetch.basic_auth.hosts", basic.GetHosts())
	}
	if bearer == nil {
		return
	}
	c.env("fetch.bearer_auth.token_env", bearer.GetTokenEnv())
	c.authHosts("fetch.bearer_auth.hosts", bearer.GetHosts())
	if basic != nil && (len(basic.GetHosts()) == 0 || len(bearer.GetHosts()) == 0) {
		c.addf("fetch.bearer_auth", "and fetch.basic_auth are both given; say with their hosts which is for which")
	}
}

func (c *checker) authHosts(path string, hosts []string) {
	for i, h := range hosts {
		if err := checkHost(h, true); err != nil {
			c.addf(index(path, i), "%s", err)
		}
	}
}

// env checks the name of an environment variable of the fetchers.
func (c *checker) env(path, name string) {
	switch {
	case name == "":
		c.addf(path, "is required: an environment variable of the fetchers, such as %sSHOP", secret.Prefix)
	case !secret.IsName(name):
		// It may be the secret itself, given for its name.
		c.addf(path, "must be %s and then capitals, digits and _, the name of an environment variable of the fetchers", secret.Prefix)
	}
}

func (c *checker) tls(s *crawlv1.TLS) {
	c.certificates("fetch.tls.ca", s.GetCa())
	c.certificates("fetch.tls.client_cert", s.GetClientCert())
	switch {
	case s.GetClientCert() != "":
		c.env("fetch.tls.client_key_env", s.GetClientKeyEnv())
	case s.GetClientKeyEnv() != "":
		c.addf("fetch.tls.client_cert", "is missing: fetch.tls.client_key_env is the key of one")
	}
}

// certificates checks PEM. What is no PEM is the name of a file that the client has
// yet to read, or has left to a service that cannot.
func (c *checker) certificates(path, text string) {
	if text == "" || !IsPEM(text) {
		return
	}
	found := 0
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			c.addf(path, "has a private key in it; keys belong into the environment of the fetchers (client_key_env)")
			return
		case block.Type != "CERTIFICATE":
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.addf(path, "has a certificate that cannot be read: %s", strings.TrimPrefix(err.Error(), "x509: "))
			return
		}
		found++
	}
	if found == 0 {
		c.addf(path, "has no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
}

// IsPEM tells a certificate in PEM form from the name of a file.
func IsPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }

func (c *checker) allowNets(nets []string) {
	if len(nets) > maxAllowNets {
		c.addf("fetch.allow_nets", "must not have more than %d networks, not %d", maxAllowNets, len(nets))
		return
	}
	for i, n := range nets {
		if _, err := ParseNet(n); err != nil {
			c.addf(index("fetch.allow_nets", i), "%s", err)
		}
	}
}

func (c *checker) browser(s *crawlv1.Browser) {
	if s == nil {
		return
	}
	const path = "fetch.browser."
	c.enum(path+"wait", int32(s.GetWait()), crawlv1.BrowserWait_name)
	if s.GetWaitTimeout() != nil {
		c.duration(path+"wait_timeout", s.GetWaitTimeout(), 0, 5*time.Minute)
	}
	if s.MaxRequests != nil {
		c.between(path+"max_requests", uint64(s.GetMaxRequests()), 1, 2000)
	}
	if s.GetWidth() != 0 {
		c.between(path+"width", uint64(s.GetWidth()), 100, 4000)
	}
	if s.GetHeight() != 0 {
		c.between(path+"height", uint64(s.GetHeight()), 100, 10000)
	}
	if n := len(s.GetSteps()); n > maxBrowserSteps {
		c.addf(path+"steps", "must not have more than %d steps, not %d", maxBrowserSteps, n)
		return
	}
	for i, step := range s.GetSteps() {
		c.browserStep(index(path+"steps", i), step)
	}
}

func (c *checker) browserStep(path string, s *crawlv1.BrowserStep) {
	selector := func(field, text string) {
		if strings.TrimSpace(text) == "" {
			c.addf(path+"."+field, "must be a CSS selector")
		}
	}
	switch step := s.GetStep().(type) {
	case nil:
		c.addf(path, "needs one of click, scroll, fill, wait_for and wait")
	case *crawlv1.BrowserStep_Click:
		selector("click", step.Click)
	case *crawlv1.BrowserStep_WaitFor:
		selector("wait_for", step.WaitFor)
	case *crawlv1.BrowserStep_Scroll:
		c.between(path+".scroll", uint64(step.Scroll), 1, 50)
	case *crawlv1.BrowserStep_Wait:
		c.duration(path+".wait", step.Wait, 0, 30*time.Second)
	case *crawlv1.BrowserStep_Fill:
		selector("fill.selector", step.Fill.GetSelector())
		if step.Fill.GetTextEnv() == "" {
			return
		}
		c.env(path+".fill.text_env", step.Fill.GetTextEnv())
		if step.Fill.GetText() != "" {
			c.addf(path+".fill", "has both text and text_env; give one")
		}
	}
}

// Warnings are what a valid spec does that its author should be sure of, one line
// each.
func Warnings(s *crawlv1.CrawlSpec) []string {
	var out []string
	f := s.GetFetch()
	if f.GetTls().GetInsecure() {
		out = append(out, "fetch.tls.insecure: any certificate is accepted; whoever sits between can read and change everything")
	}
	for _, name := range sortedKeys(f.GetHeaders()) {
		switch strings.ToLower(name) {
		case "authorization", "cookie":
			if !secret.Has(f.GetHeaders()[name]) {
				out = append(out, "fetch.headers."+name+": the spec holds it in clear, and whoever may see the crawl sees it; write {WEIR_SECRET_NAME}, an environment variable of the fetchers")
			}
		}
	}
	for _, p := range append([]string{f.GetProxy()}, f.GetProxies()...) {
		if parsed, err := ParseProxy(p); err == nil && parsed.Password != "" && !secret.Has(parsed.Password) {
			out = append(out, "fetch.proxy: the spec holds a password in clear; write {WEIR_SECRET_NAME}, an environment variable of the fetchers")
			break
		}
	}
	return out
}
