package fetcher

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// notKept stands in the archive and the crawl log for credentials that were sent.
const notKept = "(not kept)"

// grant is a header that only some hosts get: who asks, or a secret.
type grant struct {
	hosts *crawl.Scope // nil: none
	name  string
	value string
	shown string // in the archive
	err   error  // why there is no value
}

// grant gathers them: from the spec's headers those that are for the seeds' hosts
// alone, then the two kinds of authentication.
func (p *prepared) grant(f *crawlv1.Fetch) {
	seeds := hostsOf(p.compiled.SeedHosts)
	for _, name := range slices.Sorted(maps.Keys(f.GetHeaders())) {
		text := f.GetHeaders()[name]
		if !spec.IsCredential(name, text) {
			continue
		}
		g := grant{hosts: seeds, name: http.CanonicalHeaderKey(name), shown: shown(name, text)}
		if g.value, g.err = p.secrets.Fill(text, nil); g.err == nil && !usableSecret(g.value) {
			g.err = fmt.Errorf("fetch.headers.%s: the secret in it has more than one line", name)
		}
		p.grants = append(p.grants, g)
	}
	if b := f.GetBasicAuth(); b != nil {
		g := grant{hosts: hostsOr(b.GetHosts(), seeds), name: "Authorization", shown: notKept}
		var password string
		password, g.err = p.secrets.Get(b.GetPasswordEnv())
		g.value = "Basic " + base64.StdEncoding.EncodeToString([]byte(b.GetUser()+":"+password))
		p.grants = append(p.grants, g)
	}
	if b := f.GetBearerAuth(); b != nil {
		g := grant{hosts: hostsOr(b.GetHosts(), seeds), name: "Authorization", shown: notKept}
		var token string
		if token, g.err = p.secrets.Get(b.GetTokenEnv()); g.err == nil && !usableSecret(token) {
			g.err = fmt.Errorf("%s has more than one line", b.GetTokenEnv())
		}
		g.value = "Bearer " + token
		p.grants = append(p.grants, g)
	}
}

// shown is what the archive gets of a header of the spec or of a request.
func shown(name, text string) string {
	if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Proxy-Authorization") {
		return notKept
	}
	return text
}

// usableSecret: a value that a header can have. A line break in a secret is a slip
// that would end the header.
func usableSecret(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// hostsOf judges hosts as scope.hosts does; nil for none.
func hostsOf(hosts []string) *crawl.Scope {
	if len(hosts) == 0 {
		return nil
	}
	return crawl.NewScope(crawl.ScopeConfig{Hosts: hosts, MaxDepth: -1, MaxLength: weburl.MaxLength})
}

func hostsOr(hosts []string, or *crawl.Scope) *crawl.Scope {
	if len(hosts) == 0 {
		return or
	}
	return hostsOf(hosts)
}

func (g *grant) covers(u weburl.URL) bool { return g.hosts != nil && g.hosts.Judge(u, 0).Accept }
