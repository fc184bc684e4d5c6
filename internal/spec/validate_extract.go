package spec

import (
	"fmt"
	"slices"
	"strings"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// pageFacts are the values that a field may take from the page itself.
func pageFacts() []string {
	return []string{"url", "depth", "fetched_at", "status", "content_type", "title"}
}

func (c *checker) extract(rules []*crawlv1.ExtractRule) {
	seen := map[string]bool{}
	for i, r := range rules {
		path := index("extract", i)
		switch {
		case r.GetName() == "":
			c.addf(path+".name", "is required: it becomes the _rule of the items")
		case !isName(r.GetName(), true):
			c.addf(path+".name", "must be 1 to 63 characters of a-z, 0-9, - and _, not %q", r.GetName())
		case seen[r.GetName()]:
			c.addf(path+".name", "%q is the name of another rule", r.GetName())
		}
		seen[r.GetName()] = true
		if r.GetMatch() != "" {
			c.pattern(path+".match", r.GetMatch())
		}
		if each := r.GetEach(); each != "" {
			if sel, ok := strings.CutPrefix(each, "css:"); !ok || strings.TrimSpace(sel) == "" {
				c.addf(path+".each", `must be "css:" and a selector, not %q`, each)
			}
		}
		if len(r.GetFields()) == 0 {
			c.addf(path+".fields", "needs at least one field")
		}
		for _, name := range sortedKeys(r.GetFields()) {
			c.field(path+".fields."+name, name, r.GetFields()[name])
		}
	}
}

func (c *checker) field(path, name string, f *crawlv1.FieldRule) {
	switch {
	case name == "" || len(name) > 128 || hasControl(name):
		c.addf(path, "must have a name of 1 to 128 printable characters")
	case strings.HasPrefix(name, "_"):
		c.addf(path, "must not begin with _: such names are Weir's own")
	}
	css, value := f.GetCss() != "", f.GetValue() != ""
	switch {
	case css && value:
		c.addf(path, "has both css and value; give one")
	case !css && !value:
		c.addf(path, "needs css with a selector, or value with a fact of the page")
	case value && !slices.Contains(pageFacts(), f.GetValue()):
		c.addf(path+".value", "must be %s, not %q; %s", oneOf(pageFacts()), f.GetValue(), didYouMean(f.GetValue(), pageFacts()))
	}
	if value {
		if f.GetAttr() != "" {
			c.addf(path+".attr", "needs css")
		}
		if f.GetMany() {
			c.addf(path+".many", "needs css: a fact of the page has one value")
		}
	}
	if f.GetRegex() != "" {
		c.regex(path+".regex", f.GetRegex(), f.GetRegex())
	}
	c.enum(fmt.Sprintf("%s.type", path), int32(f.GetType()), crawlv1.FieldType_name)
}
