package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// rest calls the API over HTTP of a server.
type rest struct{ url, token string }

func (a rest) call(t *testing.T, method, path, kind, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// consoleURL is where a server says that its console is.
func consoleURL(t *testing.T, s *server) string {
	t.Helper()
	m := regexp.MustCompile(`"console":"(http[^"]+)/"`).FindStringSubmatch(s.log())
	if m == nil {
		t.Fatalf("no console: %s", s.log())
	}
	return m[1]
}

// TestREST queues a crawl over HTTP, adds to it, waits for it and reads what it kept.
func TestREST(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 15), t.TempDir()
	s := startSecured(t, dir)
	defer s.stop()
	url := consoleURL(t, s.server)
	for role, code := range map[string]int{"": 401, "read": 403} {
		if got, text := (rest{url, s.tokens[role]}).call(t, "POST", "/api/v1/crawls", "application/json", `{"spec":{}}`); got != code {
			t.Errorf("%q creates a crawl: %d %s", role, got, text)
		}
	}
	api := rest{url, s.tokens["admin"]}
	ok := func(method, path, kind, body string, into any, want ...string) string {
		t.Helper()
		code, text := api.call(t, method, path, kind, body)
		if code != 200 {
			t.Fatalf("%s %s: %d %s", method, path, code, text)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s %s: no %q in %s", method, path, w, text)
			}
		}
		if into != nil {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				t.Fatalf("%s %s: %v in %s", method, path, err, text)
			}
		}
		return text
	}
	type crawlAnswer struct {
		Crawl struct{ ID, State, Owner string }
		Done  bool
	}
	var made, ended crawlAnswer
	ok("POST", "/api/v1/crawls/yaml", "application/yaml", "name: shop\nseeds: {urls: ["+site.seed()+"]}\npoliteness: {delay: 0s}\nfetch: {max_body: 1MiB}\n", &made)
	if made.Crawl.Owner != "adminer" || len(made.Crawl.ID) != 26 {
		t.Fatalf("made %+v", made)
	}
	ok("POST", "/api/v1/crawls/shop/urls", "text/plain", site.URL+"/p/9\n# a line\n"+site.URL+"/p/1\nftp://u:p@x.test/\n", nil, `"refused":1`)
	ok("POST", "/api/v1/crawls/shop/urls", "application/json", `{"seeds":[{"url":"`+site.URL+`/p/3","priority":-5}]}`, nil, `"refused":0`)
	ok("POST", "/api/v1/crawls/shop/close", "application/json", "", nil, "CRAWL_STATE_CLOSING")
	lines := strings.Split(strings.TrimSpace(ok("GET", "/api/v1/crawls/shop/watch?interval=0.1s", "", "", nil)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"result":{`) || !strings.Contains(last, "CRAWL_STATE_FINISHED") {
		t.Errorf("last line of the watch: %s", last)
	}
	ok("GET", "/api/v1/crawls/shop/wait?timeout=20s", "", "", &ended)
	if !ended.Done || ended.Crawl.State != "CRAWL_STATE_FINISHED" {
		t.Errorf("ended %+v", ended)
	}
	for _, path := range []string{"/api/v1/crawls/shop/items", "/api/v1/crawls/" + made.Crawl.ID + "/items/tail", "/api/v1/crawls/shop/export?format=jsonl"} {
		if text := ok("GET", path, "", "", nil, "Page 7"); strings.Count(text, "\n") != 15 {
			t.Errorf("%s: %d lines", path, strings.Count(text, "\n"))
		}
	}
	ok("GET", "/api/v1/crawls/shop/body?url="+site.URL+"/p/7", "", "", nil, "<title>Page 7</title>")
	ok("GET", "/api/v1/crawls/shop/pages?limit=3", "", "", nil, `{"result":{"pages":[`)
	ok("GET", "/api/v1/crawls/shop/page?url="+site.URL+"/p/7", "", "", nil, `"title":"Page 7"`)
	ok("GET", "/api/v1/crawls/shop/stats", "", "", nil, `"items":"15"`)
	ok("GET", "/api/v1/crawls/shop/explain?url="+site.URL+"/p/7", "", "", nil, "URL_STATE_DONE")
	ok("GET", "/api/v1/hosts?contains=127.0.0.1", "", "", nil, site.URL)
	ok("PUT", "/api/v1/host", "application/json", `{"host":"`+site.URL+`","policy":{"delay":"3s"}}`, nil, `"delay":"3s"`)
	ok("POST", "/api/v1/fetch", "application/json", `{"url":"`+site.seed()+`"}`, nil, `"status":200`)
	if code, text := api.call(t, "GET", "/api/v1/crawls/nope", "", ""); code != 404 || !strings.Contains(text, `no crawl has the id or name`) {
		t.Errorf("no such crawl: %d %s", code, text)
	}
	ok("DELETE", "/api/v1/crawls/shop", "", "", nil)
	ok("DELETE", "/api/v1/crawls/"+made.Crawl.ID+"/stored", "", "", nil, `"items":"15"`)
	if code, text := api.call(t, "GET", "/openapi.json", "", ""); code != 200 || !json.Valid([]byte(text)) {
		t.Errorf("openapi.json: %d", code)
	}
}
