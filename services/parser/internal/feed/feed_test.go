package feed

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func show(links []Link) string {
	var parts []string
	for _, l := range links {
		s := [...]string{"", "home:", "paging:", "image:", "enclosure:"}[l.Kind] + l.URL
		if l.Text != "" {
			s += "(" + l.Text + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " ")
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, want string
		form             Form
	}{
		{"rss", `<?xml version="1.0" encoding="ISO-8859-1"?><rss version="2.0"><channel><link>http://h/</link><item><title>Ä</title><link>http://h/a</link><enclosure url="http://h/a.mp3" type="audio/mpeg"/></item></channel></rss>`, "home:http://h/ http://h/a(Ä) enclosure:http://h/a.mp3", RSS},
		{"guid instead of a link", `<rss><channel><item><guid>http://h/a</guid></item><item><guid isPermaLink="false">http://h/b</guid></item><item><guid>tag:x</guid></item></channel></rss>`, "http://h/a", RSS},
		{"link before guid", `<rss><channel><item><link>http://h/a</link><guid>http://h/g</guid></item></channel></rss>`, "http://h/a", RSS},
		{"rdf", `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel><link>http://h/</link></channel><item><title>t</title><link>http://h/a</link></item></rdf:RDF>`, "home:http://h/ http://h/a(t)", RSS},
		{"atom", `<feed xmlns="http://www.w3.org/2005/Atom"><link href="http://h/"/><link rel="self" href="http://h/feed"/><link rel="next" href="http://h/feed?2"/><entry><title>t</title><link href="http://h/a"/><link rel="edit" href="http://h/e"/><link rel="enclosure" href="http://h/x.mp3"/></entry></feed>`, "home:http://h/ paging:http://h/feed?2 http://h/a(t) enclosure:http://h/x.mp3", Atom},
		{"json", `{"version": "https://jsonfeed.org/version/1.1", "home_page_url": "http://h/", "next_url": "http://h/2", "items": [{"id": "1", "url": "http://h/a", "title": "t"}]}`, "home:http://h/ paging:http://h/2 http://h/a(t)", JSON},
		{"empty rss", `<rss><channel></channel></rss>`, "", RSS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := ""
			if i := strings.LastIndex(c.text, "<?xml"); i >= 0 || c.text[0] == '<' {
				root = map[Form]string{RSS: "rss", Atom: "feed"}[c.form]
			}
			if got := Detect(root, []byte(c.text)); got != c.form {
				t.Errorf("form %d, want %d", got, c.form)
			}
			links, warning := Read([]byte(c.text), c.form, nil)
			if diff := cmp.Diff(c.want, show(links)); diff != "" || warning != "" {
				t.Errorf("warning %q, links (-want +got):\n%s", warning, diff)
			}
		})
	}
}

func TestReadOfNothing(t *testing.T) {
	t.Parallel()
	if links, warning := Read([]byte("<rss><channel><item"), RSS, nil); len(links) != 0 || warning == "" {
		t.Errorf("%d links, warning %q", len(links), warning)
	}
	stop := &atomic.Bool{}
	stop.Store(true)
	if links, warning := Read([]byte("<rss><channel></channel></rss>"), RSS, stop); len(links) != 0 || warning != "" {
		t.Errorf("stopped: %d links, warning %q", len(links), warning)
	}
	if got := Detect("", []byte(`{"a": 1}`)); got != None {
		t.Errorf("JSON that is no feed: %d", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`<rss><channel><item><link>http://h/a</link></item></channel></rss>`))
	f.Add([]byte(`<feed><entry><link href="http://h/a"/></entry></feed>`))
	f.Add([]byte(`{"version": "https://jsonfeed.org/version/1.1", "items": [{"url": "http://h/a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, form := range []Form{RSS, Atom, JSON} {
			links, _ := Read(data, form, nil)
			for _, l := range links {
				if l.URL == "" || len(links) > maxLinks {
					t.Errorf("link %+v of %d", l, len(links))
				}
			}
		}
	})
}
