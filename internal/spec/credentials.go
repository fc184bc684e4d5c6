package spec

import (
	"strings"

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
