package spec

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/weircrawl/weir/internal/secret"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// IsCredential: a header that not every host may see, since it says who asks or has a
// secret in its text.
func IsCredential(name, text string) bool {
	return strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie") || secret.Has(text)
}

// ForSeeds reports whether something in the section is for the hosts of the seeds
// alone, whatever the scope is.
func ForSeeds(f *crawlv1.Fetch) bool {
	for name, text := range f.GetHeaders() {
		if IsCredential(name, text) {
			return true
		}
	}
	basic, bearer := f.GetBasicAuth(), f.GetBearerAuth()
	return basic != nil && len(basic.GetHosts()) == 0 || bearer != nil && len(bearer.GetHosts()) == 0
}

// Secrets returns the names of what the spec wants from the fetchers' environment, sorted.
func Secrets(s *crawlv1.CrawlSpec) []string {
	found := map[string]bool{}
	collect := func(p protopath.Values) error {
		last := p.Index(-1)
		text, ok := last.Value.Interface().(string)
		if !ok {
			return nil
		}
		for _, name := range secret.Names(text) {
			found[name] = true
		}
		if last.Step.Kind() == protopath.FieldAccessStep && secret.IsName(text) {
			if field := string(last.Step.FieldDescriptor().Name()); field == "secret" || strings.HasSuffix(field, "_env") {
				found[text] = true
			}
		}
		return nil
	}
	// Other sections are about pages, where such a text is a text.
	part := &crawlv1.CrawlSpec{Seeds: s.GetSeeds(), Fetch: s.GetFetch(), Requests: s.GetRequests()}
	_ = protorange.Range(part.ProtoReflect(), collect) // collect has no errors
	return slices.Sorted(maps.Keys(found))
}
