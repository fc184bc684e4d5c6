package extract

// maxFiles bounds the files of one page.
const maxFiles = 10_000

// File is a file that an item names, to be downloaded.
type File struct {
	// Rule and Field that name it, the latter after its object's and a point.
	Rule, Field string
	// URL in the crawl's canonical form.
	URL string
}

// file keeps the URL of a file that the item in hand names. Text is one that base
// resolves.
func (x *Extractor) file(f *field, text string) {
	if x.page.Files == nil {
		return
	}
	if u, err := x.page.Files.Resolve(text); err == nil {
		x.files = append(x.files, File{x.counts.Rule, x.counts.Names[f.id], u.String()})
	}
}

// appendFiles appends the files of an item that is complete, by the names of its
// fields, and keeps those that are new on the page:
//
//	"_media":{"image":["https://shop.example/1.jpg"]},
//
// They are in the form in which they are stored, which the values of the fields need
// not have: a crawl may drop parameters from what it compares.
func (x *Extractor) appendFiles() {
	named := map[File]bool{}
	urls := map[string][]string{}
	for _, f := range x.files {
		if !named[f] {
			named[f] = true
			urls[f.Field] = append(urls[f.Field], f.URL)
		}
	}
	x.buf = append(x.buf, `"_media":{`...)
	comma := false
	for _, name := range x.counts.Names {
		if len(urls[name]) == 0 {
			continue
		}
		if comma {
			x.buf = append(x.buf, ',')
		}
		x.buf, comma = append(appendString(x.buf, name), ':', '['), true
		for i, u := range urls[name] {
			if i > 0 {
				x.buf = append(x.buf, ',')
			}
			x.buf = appendString(x.buf, u)
		}
		x.buf = append(x.buf, ']')
	}
	x.buf = append(x.buf, '}', ',')
	for _, f := range x.files {
		if x.known[f.URL] {
			continue
		}
		if len(x.out.Files) >= maxFiles {
			x.out.Warning = "more files than are taken of one page"
			return
		}
		if x.known == nil {
			x.known = map[string]bool{}
		}
		x.known[f.URL] = true
		x.out.Files = append(x.out.Files, f)
	}
}
