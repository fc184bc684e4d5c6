// Package feed finds the links of RSS, Atom and JSON feeds. What a feed says of its
// entries is not read: pages say it better.
package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/mmcdole/gofeed/atom"
	"github.com/mmcdole/gofeed/json"
	"github.com/mmcdole/gofeed/rss"
)

// Form of a document.
type Form uint8

// The forms.
const (
	// None: it is no feed.
	None Form = iota
	// RSS of any version, RDF among them.
	RSS
	// Atom.
	Atom
	// JSON Feed.
	JSON
)

// maxLinks bounds the links of a feed; more are not read.
const maxLinks = 50_000

// Kind says what a link of a feed leads to.
type Kind uint8

// The kinds.
const (
	// Entry: the page of an entry, or the one that it is about.
	Entry Kind = iota
	// Home: the page that the feed belongs to.
	Home
	// Paging: the feed's next and previous pages.
	Paging
	// Image of the feed or an entry.
	Image
	// Enclosure: audio, video and files.
	Enclosure
)

// Link is a reference of a feed.
type Link struct {
	// URL as written.
	URL string
	// Text is the title of an entry.
	Text string
	// Kind of what it leads to.
	Kind Kind
}

// Detect returns the form of a document by the name of its first XML element in
// lower case (empty where it has none) and its beginning in UTF-8.
func Detect(root string, head []byte) Form {
	switch root {
	case "rss", "rdf":
		return RSS
	case "feed":
		return Atom
	case "":
		head = bytes.TrimLeft(head, "\ufeff \t\r\n")
		if bytes.HasPrefix(head, []byte("{")) && bytes.Contains(head[:min(len(head), 1024)], []byte("jsonfeed.org/version")) {
			return JSON
		}
	}
	return None
}

// Read returns the links of a feed in UTF-8, and for people what could not be
// read of it. When stop becomes true it ends soon.
func Read(text []byte, form Form, stop *atomic.Bool) (links []Link, warning string) {
	r := &reader{rest: undeclared(text), stop: stop}
	var l list
	var err error
	switch form {
	case RSS:
		err = l.rss(r)
	case Atom:
		err = l.atom(r)
	case JSON:
		err = l.json(r)
	}
	switch {
	case errors.Is(err, errStopped):
		return nil, ""
	case err != nil:
		return nil, fmt.Sprintf("the feed cannot be read: %.200v", err)
	case l.cut:
		warning = "the feed has more than 50,000 links; only so many are read"
	}
	return l.links, warning
}

// undeclared takes off an XML declaration: its encoding is no longer the one that
// the text has.
func undeclared(text []byte) []byte {
	text = bytes.TrimLeft(text, "\ufeff \t\r\n")
	if bytes.HasPrefix(text, []byte("<?xml")) {
		if i := bytes.Index(text, []byte("?>")); i >= 0 {
			return text[i+2:]
		}
	}
	return text
}

// errStopped ends the reading.
var errStopped = errors.New("stopped")

// reader hands a feed out in pieces, so that the reading stops between two.
type reader struct {
	rest []byte
	stop *atomic.Bool
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.stop != nil && r.stop.Load() {
		return 0, errStopped
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 32<<10)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// list gathers links.
type list struct {
	links []Link
	cut   bool
}

func (l *list) add(url, text string, kind Kind) {
	url = strings.TrimSpace(url)
	switch {
	case url == "":
	case len(l.links) >= maxLinks:
		l.cut = true
	default:
		l.links = append(l.links, Link{URL: url, Text: strings.TrimSpace(text), Kind: kind})
	}
}

func (l *list) rss(r io.Reader) error {
	f, err := (&rss.Parser{}).Parse(r)
	if err != nil {
		return err
	}
	l.add(f.Link, "", Home)
	if f.Image != nil {
		l.add(f.Image.URL, "", Image)
	}
	for _, e := range f.Items {
		l.add(e.Link, e.Title, Entry)
		// An identifier is a permanent link unless it says otherwise; many that say
		// nothing are none.
		if g := e.GUID; g != nil && e.Link == "" && g.IsPermalink != "false" && strings.Contains(g.Value, "://") {
			l.add(g.Value, e.Title, Entry)
		}
		for _, x := range e.Enclosures {
			l.add(x.URL, "", Enclosure)
		}
	}
	return nil
}

func (l *list) atom(r io.Reader) error {
	f, err := (&atom.Parser{}).Parse(r)
	if err != nil {
		return err
	}
	for _, x := range f.Links {
		switch strings.ToLower(x.Rel) {
		case "", "alternate":
			l.add(x.Href, "", Home)
		case "next", "previous", "prev", "first", "last", "prev-archive", "next-archive", "current":
			l.add(x.Href, "", Paging)
		}
	}
	l.add(f.Logo, "", Image)
	for _, e := range f.Entries {
		for _, x := range e.Links {
			switch strings.ToLower(x.Rel) {
			case "", "alternate", "related", "via":
				l.add(x.Href, e.Title, Entry)
			case "enclosure":
				l.add(x.Href, "", Enclosure)
			}
		}
		if e.Content != nil {
			l.add(e.Content.Src, e.Title, Entry)
		}
	}
	return nil
}

func (l *list) json(r io.Reader) error {
	f, err := (&json.Parser{}).Parse(r)
	if err != nil {
		return err
	}
	l.add(f.HomePageURL, "", Home)
	l.add(f.NextURL, "", Paging)
	l.add(f.Icon, "", Image)
	for _, e := range f.Items {
		l.add(e.URL, e.Title, Entry)
		l.add(e.ExternalURL, e.Title, Entry)
		l.add(e.Image, "", Image)
		if e.Attachments != nil {
			for _, a := range *e.Attachments {
				l.add(a.URL, "", Enclosure)
			}
		}
	}
	return nil
}
