package cli

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fetchSite shows what it is asked.
func fetchSite(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/old":
			http.Redirect(w, r, "/page", http.StatusMovedPermanently)
		case "/robots.txt":
			_, _ = io.WriteString(w, "User-agent: *\nDisallow: /page\n")
		case "/script":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<body><script>document.body.append(1+1+' made')</script>")
		case "/stop":
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("X-Bad", "a\u009b2Jb")
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("X-Api")+" "+r.UserAgent()+" "+r.Header.Get("Content-Type")+" "+string(body))
		}
	}))
	t.Cleanup(web.Close)
	return web.URL
}

func TestFetch(t *testing.T) {
	t.Parallel()
	url := fetchSite(t)
	fetch := func(args ...string) result {
		return weir(t, append([]string{"fetch", "--allow-net", "127.0.0.0/8"}, args...)...)
	}
	got := fetch(url+"/old", "--follow", "3")
	for _, want := range []string{
		"301 " + url + "/old\n  -> " + url + "/page\n", "> GET /page\n> Host: 127.0.0.1:", "\n> User-Agent: ", "\n< HTTP/1.1 200\n", "\n< Content-Type: text/html; charset=utf-8\n",
		"robots.txt   allowed by no line\n", "\nbody         ", ", utf-8\n", "\nfrom         127.0.0.1:", " over HTTP/1.1\n", "\ntime         ", "first byte ",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in:\n%s", want, got.stdout)
		}
	}
	if got.code != 0 || strings.Contains(got.stdout, "\u009b") {
		t.Errorf("exit code %d, %q", got.code, got.stdout)
	}
	if got := fetch(url + "/page"); !strings.Contains(got.stdout, "robots.txt   denied by line 2: Disallow: /page\n") {
		t.Errorf("robots.txt is not shown:\n%s", got.stdout)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--body"}, "GET  Weir/"},
		{[]string{"--body", "--data", `{"a":1}`, "--header", "X-Api: 1", "--header", "user-agent: Mine/2"}, `POST 1 Mine/2 application/json {"a":1}`},
		{[]string{"--body", "--data", "a=1"}, "POST  Weir/"},
		{[]string{"--body", "--method", "post", "--header", "Content-Type: text/x"}, "POST  Weir/"},
		{[]string{"--body", "--set", "fetch.user_agent=Set/1"}, "GET  Set/1"},
	} {
		if got := fetch(append(c.args, url+"/page")...); got.code != 0 || !strings.HasPrefix(got.stdout, c.want) {
			t.Errorf("%v: exit code %d, %s%s", c.args, got.code, got.stdout, got.stderr)
		}
	}
	var m map[string]any
	got = fetch(url+"/old", "--follow", "1", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &m); err != nil || m["charset"] != "utf-8" || m["robots_verdict"] != "allowed" || m["body"] != nil || m["hops"] == nil {
		t.Errorf("JSON %s: %v", got.stdout, err)
	}
}

// TestFetchReadsCertificates: what --set names is a file, as in a spec.
func TestFetchReadsCertificates(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "trusted") }))
	t.Cleanup(web.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got := weir(t, "fetch", "--allow-net", "127.0.0.0/8", "--body", "--set", "fetch.tls.ca="+ca, web.URL)
	if got.code != 0 || got.stdout != "trusted" {
		t.Errorf("exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	got = weir(t, "fetch", "--allow-net", "127.0.0.0/8", "--set", "fetch.tls.ca="+ca+"x", web.URL)
	if !strings.Contains(got.stderr, "fetch.tls.ca: cannot read") {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
}

// TestFetchBySpec: the fetch section of a spec says how.
func TestFetchBySpec(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "spec.yaml", "seeds: {urls: [https://a.example/]}\nfetch: {user_agent: Spec/1, headers: {X-Api: two}}\n")
	got := weir(t, "fetch", "--allow-net", "127.0.0.0/8", "--spec", dir+"/spec.yaml", "--body", fetchSite(t)+"/page")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "GET two Spec/1 ") {
		t.Errorf("exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
}

// TestFetchFailures: one clear line each.
func TestFetchFailures(t *testing.T) {
	t.Parallel()
	url := fetchSite(t)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{1, "reset: ", []string{url + "/stop", "--allow-net", "127.0.0.0/8"}},
		{1, "connect_refused: ", []string{"http://127.0.0.1:1/", "--allow-net", "127.0.0.0/8"}},
		{2, "add --allow-net 127.0.0.0/8", []string{url + "/page"}},
		{2, "is not 'Name: value'", []string{url + "/page", "--header", "nonsense"}},
		{2, "url", []string{"nonsense"}},
		{2, "at most 20 redirects", []string{url + "/page", "--allow-net", "127.0.0.0/8", "--follow", "21"}},
	} {
		got := weir(t, append([]string{"fetch"}, c.args...)...)
		if got.code != c.code || !strings.Contains(strings.ToLower(got.stderr), strings.ToLower(c.want)) || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
			t.Errorf("%v: exit code %d, %q %q; want %d, one line with %q", c.args, got.code, got.stdout, got.stderr, c.code, c.want)
		}
	}
}

// TestFetchRendered: the body is the page after its scripts.
func TestFetchRendered(t *testing.T) {
	t.Parallel()
	got := weir(t, "fetch", "--allow-net", "127.0.0.0/8", "--render", "--body", fetchSite(t)+"/script")
	if got.code != 0 || !strings.Contains(got.stdout, "2 made") {
		t.Errorf("exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
}
