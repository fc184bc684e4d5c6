package document

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// Bounds of what is looked at in the JSON-LD of one script.
const (
	maxDataDepth = 16
	maxDataLinks = 5000
)

// data takes the references in a script of JSON-LD.
func (r *Reader) data() {
	if !r.cfg.Kinds.Has(Data) {
		return
	}
	mediaType, _ := r.scan.Attr("type")
	mediaType, _, _ = bytes.Cut(mediaType, []byte(";"))
	if !scan.EqualFold(bytes.TrimSpace(mediaType), "application/ld+json") {
		return
	}
	d := dataReader{r: r, left: maxDataLinks}
	d.value(Data, "", gjson.ParseBytes(r.scan.RawText()), 0)
}

// dataReader walks JSON-LD.
type dataReader struct {
	r    *Reader
	left int
}

// value takes what stands under a name, in an object of a kind.
func (d *dataReader) value(kind Kind, name string, v gjson.Result, depth int) {
	switch {
	case depth > maxDataDepth || d.left == 0:
	case v.IsObject() || v.IsArray():
		v.ForEach(func(key, v gjson.Result) bool {
			under, inner := name, kind
			if key.Exists() && key.Type == gjson.String {
				under, inner = key.Str, kindUnder(kind, key.Str)
			}
			d.value(inner, under, v, depth+1)
			return d.left > 0
		})
	case v.Type == gjson.String && isReference(name) && isAddress(v.Str) && d.r.cfg.Kinds.Has(kind):
		d.left--
		d.r.addPlain([]byte(v.Str), kind)
	}
}

// kindUnder is the kind of what a property of a schema leads to.
func kindUnder(kind Kind, name string) Kind {
	switch name {
	case "image", "logo", "thumbnail", "thumbnailUrl", "primaryImageOfPage":
		return Image
	case "contentUrl", "audio", "video":
		return Media
	}
	return kind
}

// isReference tells the properties that hold references, and not texts that look like
// some.
func isReference(name string) bool {
	switch name {
	case "url", "@id", "item", "sameAs", "mainEntityOfPage", "relatedLink", "significantLink", "discussionUrl", "isPartOf", "hasPart", "embedUrl",
		"image", "logo", "thumbnail", "thumbnailUrl", "contentUrl", "audio", "video":
		return true
	}
	return false
}

// isAddress tells references to pages from names of things: "#organization", "_:b1".
func isAddress(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "/")
}
