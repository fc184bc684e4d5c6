package cli

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/certs"
)

// visitor is a browser without scripts.
type visitor struct {
	base string
	http *http.Client
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // who answers is looked at below
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{strings.TrimSuffix(base, "/"), &http.Client{Jar: jar, Transport: transport}}
}

// get follows redirects to a page and returns its address, status and text.
func (v *visitor) get(t *testing.T, path string) (at string, code int, body string) {
	t.Helper()
	return v.answer(t)(v.http.Get(v.base + path))
}

// post sends a form and follows redirects.
func (v *visitor) post(t *testing.T, path string, form url.Values) (at string, code int, body string) {
	t.Helper()
	return v.answer(t)(v.http.PostForm(v.base+path, form))
}

func (v *visitor) answer(t *testing.T) func(*http.Response, error) (string, int, string) {
	return func(resp *http.Response, err error) (string, int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.TLS != nil && certs.Identity(resp.TLS.PeerCertificates[0]) != certs.Console {
			t.Errorf("answered by %v", resp.TLS.PeerCertificates[0].URIs)
		}
		return resp.Request.URL.Path, resp.StatusCode, string(body)
	}
}

// startConsole runs a `weir console` until the test ends and returns its address.
func startConsole(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	ctx, interrupt := interruptible(t)
	var stdout, stderr buffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(Env{
			Args: append([]string{"console", "--console-listen", "127.0.0.1:0", "--console.interval", "100ms"}, args...), Environ: append([]string{"WEIR_LOG_FORMAT=json"}, environ...),
			Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "v1.2.3", Context: ctx,
		})
	}()
	t.Cleanup(func() {
		interrupt()
		if code := <-ended; code != 0 && code != 130 {
			t.Errorf("the console ended with %d: %s", code, stderr.String())
		}
	})
	address, at := regexp.MustCompile(`"console listens".*"url":"([^"]+)"`), ""
	await(t, "the console", func() bool {
		if m := address.FindStringSubmatch(stderr.String()); m != nil {
			at = m[1]
		}
		return at != "" || len(ended) > 0
	})
	if at == "" {
		t.Fatalf("the console ended: %s", stderr.String())
	}
	return at
}

// TestConsole: the web page of `weir up` and that of `weir console` let in who has a
// token, let each do what its role may, and the audit log says who did it.
func TestConsole(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 8), t.TempDir()
	s := startSecured(t, dir)
	defer s.stop()
	own := regexp.MustCompile(`"console":"([^"]+)"`).FindStringSubmatch(s.log())
	if own == nil {
		t.Fatalf("no console in %s", s.log())
	}
	pages := map[string]string{
		"up": own[1],
		"console": startConsole(t, []string{"WEIR_SERVER=" + s.addr, "WEIR_TLS_CA=" + s.ca},
			"--console.tls-cert", filepath.Join(dir, "certs", "console", "tls.crt"), "--console.tls-key", filepath.Join(dir, "certs", "console", "tls.key")),
	}
	for name, at := range pages {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t, at)
			if path, _, body := v.get(t, "/"); path != "/signin" || !strings.Contains(body, "Your operator gives tokens.") {
				t.Fatalf("without a token: %s %s", path, body)
			}
			if _, code, _ := v.post(t, "/signin", url.Values{"token": {"weir_nonsense"}}); code != http.StatusUnauthorized {
				t.Errorf("a token that nobody knows: %d", code)
			}
			if path, code, body := v.post(t, "/signin", url.Values{"token": {s.tokens["read"]}, "next": {"/stages"}}); path != "/stages" || code != 200 || !strings.Contains(body, "Sign out") {
				t.Fatalf("signed in: %s %d %s", path, code, body)
			}
			await(t, "the stages", func() bool { _, _, body := v.get(t, "/stages"); return strings.Contains(body, "WEIR_RECORDS") })
			text := "name: " + name + "\nseeds: {urls: [" + site.seed() + "]}\npoliteness: {delay: 0s}\nlimits: {pages: 100}\n"
			form := url.Values{"spec": {text}, "close": {"1"}, "request_id": {name}}
			if _, code, body := v.post(t, "/submit", form); code != http.StatusForbidden || !strings.Contains(body, "needs the role submit; reader has read") {
				t.Errorf("what the role may not do: %d %s", code, body)
			}
			if path, _, _ := v.post(t, "/signout", nil); path != "/signin" {
				t.Errorf("signed out: %s", path)
			}
			v.post(t, "/signin", url.Values{"token": {s.tokens["admin"]}})
			path, code, body := v.post(t, "/submit", form)
			if code != 200 || !strings.HasPrefix(path, "/crawls/") || !strings.Contains(body, "The crawl was created") {
				t.Fatalf("submit: %s %d %s", path, code, body)
			}
			if got := s.call(t, "read", "wait", name); got.code != 0 {
				t.Fatalf("wait: %+v", got)
			}
			if _, _, body := v.get(t, path+"/items"); strings.Count(body, "Page ") < 8 {
				t.Errorf("items: %s", body)
			}
			if _, code, body := v.get(t, path+"/export/"+name+".jsonl"); code != 200 || strings.Count(body, "\n") != 8 {
				t.Errorf("export: %d %s", code, body)
			}
			if path, code, body := v.post(t, path+"/delete", url.Values{"data": {"1"}}); path != "/" || code != 200 || !strings.Contains(body, "The crawl was deleted.") {
				t.Errorf("delete: %s %d %s", path, code, body)
			}
		})
	}
	log, err := os.ReadFile(s.audit)
	if err != nil || strings.Count(string(log), "CreateCrawl") < 4 || !strings.Contains(string(log), "adminer") || strings.Contains(string(log), s.tokens["admin"]) {
		t.Errorf("audit log: %v %s", err, log)
	}
	if strings.Contains(s.log(), s.tokens["admin"]) {
		t.Error("the log has a token")
	}
}
