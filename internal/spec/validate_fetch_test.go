package spec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// certificate is one in PEM form, with its key where asked for.
func certificate(t *testing.T, withKey bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if withKey {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	}
	return string(out)
}

func TestValidateFetch(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, yaml, want string }{
		{"proxy", "proxy: 'http://proxy.example:3128'", ""},
		{"proxy with a user", "proxy: 'socks5://u:{WEIR_SECRET_P}@[::1]:1080'", ""},
		{"proxy of TLS without a port", "proxy: 'https://proxy.example/'", ""},
		{"proxy in a secret", "proxies: ['{WEIR_SECRET_P1}', '{WEIR_SECRET_P2}']", ""},
		{"proxy without scheme", "proxy: 'proxy.example:3128'", "fetch.proxy: must begin with http://, https:// or socks5://, such as"},
		{"proxy of another scheme", "proxy: 'ftp://proxy.example'", "fetch.proxy: must begin with"},
		{"proxy without host", "proxies: ['http://u:p@']", "fetch.proxies[0]: has no host such as proxy.example:80 after the user"},
		{"proxy with a path", "proxy: 'http://proxy.example/x'", "fetch.proxy: has no host"},
		{"both", "{proxy: 'http://a.example', proxies: ['http://b.example']}", "fetch.proxies: and fetch.proxy are both given; give one"},

		{"basic", "basic_auth: {user: me, password_env: WEIR_SECRET_A}", ""},
		{"basic without variable", "basic_auth: {user: me}", "fetch.basic_auth.password_env: is required: an environment variable of the fetchers, such as WEIR_SECRET_SHOP"},
		{"basic with another variable", "basic_auth: {user: me, password_env: HOME}", `fetch.basic_auth.password_env: must be WEIR_SECRET_ and then capitals, digits and _`},
		{"basic without user", "basic_auth: {password_env: WEIR_SECRET_A}", "fetch.basic_auth.user: must be the name of a user, without a colon"},
		{"basic with a colon", "basic_auth: {user: 'a:b', password_env: WEIR_SECRET_A}", "fetch.basic_auth.user: must"},
		{"basic with a URL", "basic_auth: {user: me, password_env: WEIR_SECRET_A, hosts: ['https://a.example']}", `fetch.basic_auth.hosts[0]: "https://a.example" is not a host name`},
		{"bearer", "bearer_auth: {token_env: WEIR_SECRET_A, hosts: ['api.example:8443']}", ""},
		{"bearer without variable", "bearer_auth: {hosts: [a.example]}", "fetch.bearer_auth.token_env: is required"},
		{"both kinds", "{basic_auth: {user: me, password_env: WEIR_SECRET_A}, bearer_auth: {token_env: WEIR_SECRET_B}}", "fetch.bearer_auth: and fetch.basic_auth are both given"},

		{"CA", "tls: {ca: CERT}", ""},
		{"CA in a file", "tls: {ca: ca.pem}", ""},
		{"CA with a key", "tls: {ca: KEY}", "fetch.tls.ca: has a private key in it; keys belong into the environment"},
		{"CA of rubbish", "tls: {ca: '-----BEGIN rubbish'}", "fetch.tls.ca: has no certificate in PEM form"},
		{"client certificate", "tls: {client_cert: CERT, client_key_env: WEIR_SECRET_KEY}", ""},
		{"client certificate without key", "tls: {client_cert: CERT}", "fetch.tls.client_key_env: is required"},
		{"key alone", "tls: {client_key_env: WEIR_SECRET_KEY}", "fetch.tls.client_cert: is missing"},

		{"networks", "allow_nets: [10.0.0.0/8, '::1', 127.0.0.1]", ""},
		{"no network", "allow_nets: [localhost]", `fetch.allow_nets[0]: "localhost" is not a network`},
		{"speed", "min_speed: 0", ""},
		{"speed too high", "min_speed: 1GiB", "fetch.min_speed: must be between 0 (no bound) and 10MiB a second, not 1GiB"},
		{"header of the message", "headers: {Content-Type: text/plain}", "fetch.headers.Content-Type: is set by the fetcher itself"},
		{"header for proxies", "headers: {proxy-authorization: x}", "fetch.headers.proxy-authorization: is set with the user and password"},

		{"browser", "browser: {wait: dom, wait_timeout: 1m, steps: [{click: a}, {scroll: 50}, {wait: 30s}, {wait_for: b, optional: true}, {fill: {selector: i, text_env: WEIR_SECRET_A}}]}", ""},
		{"browser too small", "browser: {width: 10, height: 20000}", "fetch.browser.width: must be between 100 and 4000, not 10"},
		{"browser with too many requests", "browser: {max_requests: 5000}", "fetch.browser.max_requests: must be between 1 and 2000, not 5000"},
		{"browser without requests", "browser: {max_requests: 0}", "fetch.browser.max_requests: must be between 1 and 2000, not 0"},
		{"step without anything", "browser: {steps: [{optional: true}]}", "fetch.browser.steps[0]: needs one of click, scroll, fill, wait_for and wait"},
		{"step without selector", "browser: {steps: [{click: ' '}]}", "fetch.browser.steps[0].click: must be a CSS selector"},
		{"scroll for ever", "browser: {steps: [{scroll: 51}]}", "fetch.browser.steps[0].scroll: must be between 1 and 50, not 51"},
		{"wait for ever", "browser: {steps: [{wait: 1h}]}", "fetch.browser.steps[0].wait: must be between 0s and 30s, not 1h"},
		{"fill with both", "browser: {steps: [{fill: {selector: i, text: x, text_env: WEIR_SECRET_A}}]}", "fetch.browser.steps[0].fill: has both text and text_env; give one"},
		{"fill with another variable", "browser: {steps: [{fill: {selector: i, text_env: PATH}}]}", "fetch.browser.steps[0].fill.text_env: must be WEIR_SECRET_"},
	}
	inline := strings.NewReplacer("CERT", `"`+strings.ReplaceAll(certificate(t, false), "\n", `\n`)+`"`,
		"ca: KEY", `ca: "`+strings.ReplaceAll(certificate(t, true), "\n", `\n`)+`"`)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			section := inline.Replace(tt.yaml)
			if !strings.HasPrefix(section, "{") {
				section = "{" + section + "}"
			}
			_, err := Decode("a.yaml", []byte("fetch: "+section), nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseProxy(t *testing.T) {
	t.Parallel()
	got, err := ParseProxy("socks5://a%40b:{WEIR_SECRET_P}@proxy.example")
	if err != nil {
		t.Fatal(err)
	}
	want := &Proxy{Scheme: "socks5", Host: "proxy.example:1080", User: "a@b", Password: "{WEIR_SECRET_P}", HasUser: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	s := mustDecode(t, "fetch: {tls: {insecure: true}, headers: {Authorization: 'Bearer x', Cookie: 'a={WEIR_SECRET_C}'}, proxies: ['http://u:p@a.example', 'http://u:p@b.example']}")
	got := Warnings(s)
	if len(got) != 3 || !strings.HasPrefix(got[0], "fetch.tls.insecure:") || !strings.HasPrefix(got[1], "fetch.headers.Authorization:") || !strings.HasPrefix(got[2], "fetch.proxy:") {
		t.Errorf("warnings %q", got)
	}
	for _, s := range []*crawlv1.CrawlSpec{nil, Defaults(), mustDecode(t, string(Example()))} {
		if got := Warnings(s); got != nil {
			t.Errorf("warnings %q", got)
		}
	}
}

// TestFetchDefaultsSurvive: what is off by choice stays off.
func TestFetchDefaultsSurvive(t *testing.T) {
	t.Parallel()
	got := Resolve(mustDecode(t, "fetch: {cookies: false, min_speed: 0, browser: {width: 1024}}")).GetFetch()
	want := Defaults().GetFetch()
	want.Cookies, want.MinSpeed, want.Browser.Width = new(bool), new(int64), 1024
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
