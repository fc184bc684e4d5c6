package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/access"
)

func TestParseFile(t *testing.T) {
	t.Parallel()
	token := access.NewToken()
	f, err := access.ParseFile([]byte(`
roles:
  submit:
    quotas: {crawls-running: 5, pages-per-crawl: 1000}
    specs: {secrets: [WEIR_SECRET_SHOP_*], extractors: []}
tokens:
  - name: nightly
    sha256: ` + access.HashOf(token).String() + `
    role: submit
    expires: 2027-01-31
    quotas: {crawls-running: 2, urls-per-minute: 60}
    specs: {proxies: ["proxy.example:3128"]}
  - {name: grafana, sha256: ` + access.HashOf("x").String() + `, role: read}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []access.Token{
		{
			Hash: access.HashOf(token), Expires: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC),
			Caller: access.Caller{
				Name: "nightly", Role: access.Submit,
				Quotas: access.Quotas{CrawlsRunning: 2, PagesPerCrawl: 1000, URLsPerMinute: 60},
				Specs:  access.Specs{Secrets: []string{"WEIR_SECRET_SHOP_*"}, Extractors: []string{}, Proxies: []string{"proxy.example:3128"}},
			},
		},
		{Hash: access.HashOf("x"), Caller: access.Caller{Name: "grafana", Role: access.Read}},
	}
	if diff := cmp.Diff(want, f.Tokens); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestMistakesInFile(t *testing.T) {
	t.Parallel()
	hash := access.HashOf("x").String()
	for name, tc := range map[string]struct{ text, want string }{
		"unknown key":       {"tokens: [{name: a, token: s3cr3t-token}]", "line 1: field: want the keys roles and tokens"},
		"no YAML":           {"tokens: [s3cr3t-token", "not a file of tokens: line 1"},
		"a token as text":   {"tokens: [s3cr3t-token]", "want the keys roles and tokens"},
		"token for a name":  {"tokens: [{name: 's3cr3t-token/+', sha256: " + hash + ", role: read}]", "token 1: name: want letters"},
		"token for a hash":  {"tokens: [{name: a, sha256: s3cr3t-token, role: read}]", "a: sha256: want the 64 hexadecimal digits"},
		"token for a role":  {"tokens: [{name: a, sha256: " + hash + ", role: s3cr3t-token}]", "a: role: want read, submit or admin"},
		"token for a time":  {"tokens: [{name: a, sha256: " + hash + ", role: read, expires: s3cr3t-token}]", "a: expires: want a day"},
		"unknown role":      {"roles: {boss: {}}", `role "boss": want read, submit or admin`},
		"bad pattern":       {"roles: {read: {specs: {secrets: ['re:(']}}}", "secrets: bad URL pattern"},
		"the same name":     {"tokens: [{name: a, sha256: " + hash + ", role: read}, {name: a, sha256: " + access.HashOf("y").String() + ", role: read}]", "token 2: the name is taken"},
		"the same token":    {"tokens: [{name: a, sha256: " + hash + ", role: read}, {name: b, sha256: " + hash + ", role: admin}]", "token 2: the same token has another name"},
		"too many":          {"tokens:\n" + strings.Repeat("  - {}\n", 1001), "1001 tokens, at most 1000"},
		"negative quota":    {"roles: {read: {quotas: {weight: -1}}}", "line 1"},
		"nothing is a file": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := access.ParseFile([]byte(tc.text))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if tc.want == "" && err != nil || !strings.Contains(text, tc.want) {
				t.Errorf("got %q, want %q", text, tc.want)
			}
			if strings.Contains(text, "s3cr3t") {
				t.Errorf("the error repeats what may be a token: %q", text)
			}
		})
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte("tokens: [{name: a, sha256: " + access.HashOf("x").String() + ", role: read, quotas: {weight: 3}}]"))
	f.Add([]byte("roles: {submit: {specs: {secrets: [a*]}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := access.ParseFile(data)
		if err != nil {
			return
		}
		for _, tok := range file.Tokens {
			if tok.Caller.Name == "" || tok.Caller.Role == access.Nobody || tok.Hash == (access.Hash{}) {
				t.Fatalf("a token without name, role or hash: %+v", tok)
			}
		}
	})
}
