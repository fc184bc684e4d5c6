package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newToken makes a token by the command, and the text for the file.
func newToken(t *testing.T, name, role string) (token, entry string) {
	t.Helper()
	got := weir(t, "token", "new", "--name", name, "--role", role, "--valid", "1h")
	if got.code != 0 {
		t.Fatalf("token new: %+v", got)
	}
	_, entry, ok := strings.Cut(got.stderr, "\n")
	token = strings.TrimSpace(got.stdout)
	if !ok || !strings.HasPrefix(token, "weir_") || len(token) != 48 || strings.Contains(got.stderr, token) {
		t.Fatalf("token new: %+v", got)
	}
	return token, entry
}

func TestTokenNewRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--role", "read"}, {"--name", "a b"}, {"--name", "a", "--role", "boss"}, {"--name", "a", "--valid", "-1h"}, {"x"}} {
		if got := weir(t, append([]string{"token", "new"}, args...)...); got.code != 2 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// secured is a server with TLS, tokens and an audit log.
type secured struct {
	*server
	ca, audit string
	tokens    map[string]string
}

func startSecured(t *testing.T, dir string, more ...string) *secured {
	t.Helper()
	certs := filepath.Join(dir, "certs")
	if got := weir(t, "certs", "init", certs); got.code != 0 {
		t.Fatalf("certs init: %+v", got)
	}
	s := &secured{ca: filepath.Join(certs, "scheduler", "ca.crt"), audit: filepath.Join(dir, "audit.log"), tokens: map[string]string{}}
	text := "tokens:\n"
	for _, role := range []string{"read", "submit", "admin"} {
		token, entry := newToken(t, role+"er", role)
		s.tokens[role], text = token, text+entry
		if role == "submit" {
			text += "    quotas: {crawls-running: 2, pages-per-crawl: 100}\n"
		}
	}
	file := write(t, dir, "tokens.yaml", text)
	s.server = startUp(t, dir, append([]string{
		"--grpc.tls-cert", filepath.Join(certs, "scheduler", "tls.crt"), "--grpc.tls-key", filepath.Join(certs, "scheduler", "tls.key"),
		"--access.tokens-file", file, "--access.audit-file", s.audit,
	}, more...)...)
	await(t, "an answer", func() bool { return s.call(t, "read", "ls").code == 0 })
	return s
}

// call runs a command with the token of a role.
func (s *secured) call(t *testing.T, role string, args ...string) result {
	t.Helper()
	return weirEnv(t, []string{"WEIR_SERVER=" + s.addr, "WEIR_TLS_CA=" + s.ca, "WEIR_TOKEN=" + s.tokens[role]}, args...)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 5), t.TempDir()
	s := startSecured(t, dir)
	defer s.stop()
	submit := func(more ...string) []string {
		return slices.Concat([]string{"submit", site.seed(), "--set", "limits.pages=100"}, eager(), more)
	}
	for _, tc := range []struct {
		role string
		args []string
		code int
		want string
	}{
		{"", []string{"ls"}, 1, "weir: this server wants a token: set WEIR_TOKEN or --token-file"},
		{"read", submit(), 1, "CrawlService/CreateCrawl needs the role submit; reader has read"},
		{"submit", append([]string{"submit", site.seed()}, eager()...), 1, "limits.pages: this caller's crawls may have at most 100 pages"},
		{"submit", submit("--set", "name=tree", "--close"), 0, ""},
		{"read", []string{"wait", "tree"}, 0, "finished after"},
		{"read", []string{"ls"}, 0, "submiter"},
		{"read", []string{"items", "tree"}, 0, "Page 1"},
		{"submit", submit("--set", "name=two"), 0, ""},
		{"submit", submit("--set", "name=three"), 0, ""},
		{"submit", submit("--set", "name=four"), 1, "submiter has 2 crawls that have not ended, and may have 2"},
		{"submit", []string{"cancel", "two"}, 0, "cancelled"},
		{"submit", submit("--set", "name=four"), 0, ""},
		{"submit", []string{"resume", "two"}, 1, "may have 2"},
		{"admin", []string{"resume", "two"}, 0, "running"},
		{"submit", []string{"delete", "tree", "--yes"}, 1, "needs the role admin"},
		{"admin", []string{"delete", "tree", "--yes"}, 0, "deleted"},
		{"admin", []string{"fetch", site.seed(), "--server", s.addr}, 0, "200"},
		{"read", []string{"fetch", site.seed(), "--server", s.addr}, 1, "needs the role submit"},
	} {
		got := s.call(t, tc.role, tc.args...)
		if got.code != tc.code || !strings.Contains(got.stdout+got.stderr, tc.want) {
			t.Fatalf("%s: weir %s: %+v, want %d %q", tc.role, strings.Join(tc.args, " "), got, tc.code, tc.want)
		}
	}
	var made []string
	for _, line := range lines(t, s.audit) {
		var l struct{ Caller, Method, Outcome string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if l.Method == "CrawlService/CreateCrawl" {
			made = append(made, l.Caller+" "+l.Outcome)
		}
	}
	want := "reader PermissionDenied, submiter PermissionDenied, submiter OK, submiter OK, submiter OK, submiter ResourceExhausted, submiter OK"
	if got := strings.Join(made, ", "); got != want {
		t.Errorf("audit log: %s\nwant %s", got, want)
	}
}

// How a client shows its token, and how not.
func TestTokenOnTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startSecured(t, dir)
	defer s.stop()
	tls := "WEIR_TLS_CA=" + s.ca
	secret := write(t, dir, "token", s.tokens["read"]+"\n")
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	open, two := write(t, dir, "open", s.tokens["read"]), write(t, dir, "two", "a b")
	if err := os.Chmod(two, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		env  []string
		args []string
		code int
		want string
	}{
		{"a file", []string{tls}, []string{"ls", "--server", s.addr, "--token-file", secret}, 0, "OWNER"},
		{"a file of the environment", []string{tls, "WEIR_TOKEN_FILE=" + secret}, []string{"ls", "--server", s.addr}, 0, "OWNER"},
		{"the flag goes before the environment", []string{tls, "WEIR_TOKEN=wrong"}, []string{"ls", "--server", s.addr, "--token-file", secret}, 0, "OWNER"},
		{"a wrong token", []string{tls, "WEIR_TOKEN=wrong"}, []string{"ls", "--server", s.addr}, 1, "the token is not known here"},
		{"a file for everybody", []string{tls}, []string{"ls", "--server", s.addr, "--token-file", open}, 2, "chmod o="},
		{"no file", []string{tls}, []string{"ls", "--server", s.addr, "--token-file", filepath.Join(dir, "none")}, 2, "no such file"},
		{"two words", []string{tls}, []string{"ls", "--server", s.addr, "--token-file", two}, 2, "want one line with a token"},
		{"an authority that is none", []string{"WEIR_TLS_CA=" + secret}, []string{"ls", "--server", s.addr}, 2, "holds no certificate"},
		{"a certificate without its key", []string{tls}, []string{"ls", "--server", s.addr, "--tls-cert", s.ca}, 2, "go together"},
		{"the machine's authorities", []string{"WEIR_TLS=1"}, []string{"ls", "--server", s.addr, "--token-file", secret}, 1, "unknown authority"},
		{"plain text on this machine", []string{"WEIR_TOKEN=x"}, []string{"ls", "--server", "127.0.0.1:1"}, 1, "no weir server at 127.0.0.1:1"},
		{"plain text to another", []string{"WEIR_TOKEN=x"}, []string{"ls", "--server", "weir.example:7070"}, 2, "the token would travel in plain text to weir.example:7070"},
		{"plain text to another storage", []string{"WEIR_TOKEN=x", "WEIR_STORAGE_SERVER=10.0.0.1:7071"}, []string{"ls"}, 2, "in plain text to 10.0.0.1:7071"},
		{"plain text to a name like this machine", []string{"WEIR_TOKEN=x"}, []string{"ls", "--server", "dns:///localhost.evil.example:7070"}, 2, "in plain text"},
		{"plain text without a token", nil, []string{"ls", "--server", "127.0.0.1:1"}, 1, "no weir server"},
	} {
		got := weirEnv(t, tc.env, tc.args...)
		if got.code != tc.code || !strings.Contains(got.stdout+got.stderr, tc.want) {
			t.Errorf("%s: %+v, want %d %q", tc.name, got, tc.code, tc.want)
		}
		if strings.Contains(got.stdout+got.stderr, s.tokens["read"]) {
			t.Errorf("%s: the token is shown: %+v", tc.name, got)
		}
	}
}

// What is secret in specs, URLs, headers and the environment is in no log, in no line of
// the audit log and in no error, whatever is wrong with the spec.
func TestNothingSecretIsSaid(t *testing.T) {
	const secret = "c4n4ry"
	t.Setenv("WEIR_SECRET_KEY", secret+"-env")
	site, dir := newSite(t, 3), t.TempDir()
	s := startSecured(t, dir, "--log.level", "debug")
	host := strings.TrimPrefix(site.URL, "http://")
	specs := map[string]string{
		"everything": `
name: all
seeds:
  urls: [` + site.seed() + `]
  requests: [{url: ` + site.URL + `/p/2, method: POST, headers: {X-Key: ` + secret + `, Y-Key: "{WEIR_SECRET_KEY}"}, body: "password=` + secret + `"}]
limits: {pages: 10}
politeness: {delay: 0s}
fetch:
  retries: 0
  headers: {Authorization: Bearer ` + secret + `, X-Env: "{WEIR_SECRET_KEY}"}
  basic_auth: {user: u, password_env: WEIR_SECRET_KEY, hosts: [shop.test]}
`,
		"a proxy that is down":      `{name: proxy, seeds: {urls: [` + site.seed() + `]}, limits: {pages: 1}, politeness: {delay: 0s}, fetch: {retries: 0, proxy: "http://u:` + secret + `@127.0.0.1:1"}}`,
		"a proxy that is a secret":  `{name: proxy2, seeds: {urls: [` + site.seed() + `]}, limits: {pages: 1}, politeness: {delay: 0s}, fetch: {retries: 0, proxy: "{WEIR_SECRET_KEY}"}}`,
		"a password in a seed":      `{name: seed, seeds: {urls: ["http://u:` + secret + `@` + host + `/p/1"]}, limits: {pages: 1}, politeness: {delay: 0s}}`,
		"a bad seed":                `{name: bad, seeds: {urls: ["http://u:` + secret + `@"]}}`,
		"a bad port in a seed":      `{name: bad, seeds: {urls: ["http://u:` + secret + `@x.test:99999/"]}}`,
		"a scheme nobody has":       `{name: bad, seeds: {urls: ["ftp://u:` + secret + `@x.test/"]}}`,
		"a bad proxy":               `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {proxy: "ftp://u:` + secret + `@x.test"}}`,
		"a proxy without a host":    `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {proxy: "http://u:` + secret + `@"}}`,
		"a bad escape in a proxy":   `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {proxy: "http://u:%zz` + secret + `@x.test"}}`,
		"a header of two lines":     `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {headers: {Authorization: "Bearer ` + secret + `\r\nX: y"}}}`,
		"a password for its name":   `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {basic_auth: {user: u, password_env: ` + secret + `}}}`,
		"a token for its name":      `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {bearer_auth: {token_env: ` + secret + `}}}`,
		"a colon in the user":       `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {basic_auth: {user: "u:` + secret + `", password_env: WEIR_SECRET_KEY}}}`,
		"a key for its name":        `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {tls: {client_key_env: ` + secret + `}}}`,
		"a password as a field":     `{name: bad, seeds: {urls: [` + site.seed() + `]}, fetch: {basic_auth: {user: u, password: ` + secret + `}}}`,
		"out of the crawl's scope":  `{name: bad, seeds: {urls: ["http://u:` + secret + `@y.test/"]}, scope: {hosts: [x.test]}}`,
		"a sitemap with a password": `{name: bad, seeds: {sitemaps: ["http://u:` + secret + `@y.test:x/"]}}`,
	}
	check := func(what, text string) {
		t.Helper()
		for line := range strings.Lines(text) {
			if strings.Contains(line, secret) {
				t.Errorf("%s: %s", what, line)
			}
			for _, token := range s.tokens {
				if strings.Contains(line, token) {
					t.Errorf("%s has a token: %s", what, line)
				}
			}
		}
	}
	for name, text := range specs {
		got := s.call(t, "admin", "submit", write(t, dir, "spec.yaml", text), "--close")
		check(name, got.stdout+got.stderr)
		if name == "everything" && got.code != 0 {
			t.Fatalf("%s: %+v", name, got)
		}
		if got.code == 0 {
			s.call(t, "admin", "wait", strings.TrimSpace(got.stdout), "--timeout", "20s")
		}
	}
	for _, args := range [][]string{
		{"add", "all", "http://u:" + secret + "@x.test:99999/"},
		{"add", "all", "http://u:" + secret + "@nowhere.test/"},
		{"host", "http://u:" + secret + "@x.test/", "--delay", "3s"},
		{"host", "u:" + secret + "@x.test", "--delay", "3s"},
		{"explain", "all", "http://u:" + secret + "@:x/"},
		{"fetch", "http://u:" + secret + "@127.0.0.1:1/", "--server", s.addr},
		{"fetch", site.seed(), "--server", s.addr, "--header", "Authorization: Bearer " + secret + "\x01"},
	} {
		got := s.call(t, "admin", args...)
		check("weir "+args[0], got.stderr)
	}
	check("the log", s.stop().stderr)
	data, err := os.ReadFile(s.audit)
	if err != nil || len(data) == 0 {
		t.Fatalf("audit log: %v", err)
	}
	check("the audit log", string(data))
}
