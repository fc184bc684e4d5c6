package spec

import (
	"strings"

	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxRequestRules bounds the rules that make requests: each is tried on every page.
const maxRequestRules = 100

func (c *checker) requests(rules []*crawlv1.RequestRule) {
	if len(rules) > maxRequestRules {
		c.addf("requests", "must not have more than %d rules, not %d", maxRequestRules, len(rules))
		return
	}
	c.request = true
	defer func() { c.request = false }()
	seen := map[string]bool{}
	for i, r := range rules {
		path := index("requests", i)
		switch {
		case r.GetName() == "":
			c.addf(path+".name", "is required: it names the rule in explanations")
		case !isName(r.GetName(), true):
			c.addf(path+".name", "must be 1 to 63 characters of a-z, 0-9, - and _, not %q", r.GetName())
		case seen[r.GetName()]:
			c.addf(path+".name", "%q is the name of another rule", r.GetName())
		}
		seen[r.GetName()] = true
		if r.GetMatch() != "" {
			c.pattern(path+".match", r.GetMatch())
		}
		c.condition(path+".when", r.GetWhen(), false)
		c.each(path+".each", r.GetEach())
		c.length(path+".form", r.GetForm())
		c.length(path+".url", r.GetUrl())
		if p := r.GetPriority(); p < -maxPriority || p > maxPriority {
			c.addf(path+".priority", "must be between %d and %d, not %d", -maxPriority, maxPriority, p)
		}
		if n := countFields(r.GetFields()); n > maxFields {
			c.addf(path+".fields", "has %d fields, the most is %d", n, maxFields)
			continue
		}
		c.fields(path+".fields", r.GetFields(), 0)
		c.message(path, r)
	}
}

// message checks what a request is sent with.
func (c *checker) message(path string, r *crawlv1.RequestRule) {
	c.enum(path+".encoding", int32(r.GetEncoding()), crawlv1.RequestEncoding_name)
	if r.GetForm() != "" && r.GetUrl() != "" {
		c.addf(path, "has both form and url; give one")
	}
	if r.GetForm() == "" && r.GetUrl() == "" && len(r.GetFields()) == 0 && r.GetBody() == "" && len(r.GetHeaders()) == 0 && r.GetMethod() == "" {
		c.addf(path, "needs form, url, fields or body: as it is, it is the page again")
	}
	if r.GetBody() != "" && (r.GetForm() != "" || r.GetEncoding() != 0) {
		c.addf(path+".body", "is instead of form and encoding")
	}
	get := r.GetMethod() == "GET"
	switch {
	case r.GetMethod() != "" && !get && r.GetMethod() != "POST":
		c.addf(path+".method", "must be GET or POST, not %q", r.GetMethod())
	case get && r.GetBody() != "":
		c.addf(path+".body", "needs method: POST")
	case get && r.GetEncoding() > 0 && r.GetEncoding() != crawlv1.RequestEncoding_REQUEST_ENCODING_QUERY:
		c.addf(path+".encoding", "needs method: POST; the fields of a GET are its query")
	}
	if len(r.GetBody()) > weburl.MaxLength/2 {
		c.addf(path+".body", "is longer than %d bytes", weburl.MaxLength/2)
	}
	query := get || r.GetEncoding() == crawlv1.RequestEncoding_REQUEST_ENCODING_QUERY
	for _, name := range sortedKeys(r.GetFields()) {
		f := r.GetFields()[name]
		switch {
		case strings.ContainsAny(name, "{}"):
			c.addf(path+".fields."+name, "must have a name without braces")
		case query && secret.Has("{"+f.GetSecret()+"}"):
			c.addf(path+".fields."+name+".secret", "must not become part of an address, which is logged; needs method: POST and another encoding")
		case len(f.GetFields()) > 0 && r.GetEncoding() != crawlv1.RequestEncoding_REQUEST_ENCODING_JSON:
			c.addf(path+".fields."+name+".fields", "needs encoding: json")
		}
	}
	if len(r.GetHeaders()) > weburl.MaxRequestHeaders {
		c.addf(path+".headers", "has %d headers, the most is %d", len(r.GetHeaders()), weburl.MaxRequestHeaders)
	}
	for _, name := range sortedKeys(r.GetHeaders()) {
		c.header(path+".headers."+name, name, r.GetHeaders()[name])
	}
}
