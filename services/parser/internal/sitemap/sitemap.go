// Package sitemap reads sitemaps: XML with its extensions for images, videos and
// languages, indexes of sitemaps, and texts with one URL a line
// (https://www.sitemaps.org/protocol.html). It reads them as they are found, not as
// they should be: what cannot be read is passed over, and what was read before an
// error counts.
//
// A sitemap is read as a stream: a compressed one of 50 MiB takes no more memory
// than its entries do.
package sitemap

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The limits of the protocol.
const (
	// MaxSize of a sitemap, uncompressed, in bytes.
	MaxSize = 50 << 20
	// MaxURLs of a sitemap.
	MaxURLs = 50_000
)

// Bounds of what is kept beside the URLs.
const (
	maxURL    = 16 << 10
	maxOthers = 100_000 // images, videos, languages
)

// Form of a document.
type Form uint8

// The forms.
const (
	// None: it is no sitemap.
	None Form = iota
	// XML: a sitemap or an index of sitemaps.
	XML
	// Text: one URL a line.
	Text
)

// Kind says what an entry leads to.
type Kind uint8

// The kinds.
const (
	// Page: a URL that the sitemap lists.
	Page Kind = iota
	// Index: a sitemap that an index lists.
	Index
	// Alternate: a page in another language.
	Alternate
	// Image of a page, or a thumbnail of a video.
	Image
	// Video of a page.
	Video
)

// Entry is a reference of a sitemap.
type Entry struct {
	// URL as written, without white space at its ends.
	URL string
	// Kind of what it leads to.
	Kind Kind
	// Priority that the sitemap gives the page, 0.5 where it gives none, and the
	// time of the last change, zero where it says none.
	Priority float64
	// LastMod is the time of the last change, zero where the sitemap names none.
	LastMod time.Time
}

// Sitemap is what was read.
type Sitemap struct {
	// Entries in the order in which they are worth visiting: by priority, those
	// that changed last first, otherwise as the sitemap has them.
	Entries []Entry
	// Warning says for people what was not read; empty when all was.
	Warning string
}

// Config says how a sitemap is read.
type Config struct {
	// Form of the document, by Detect or by who named it a sitemap.
	Form Form
	// Decoded says that it is UTF-8 whatever it declares.
	Decoded bool
	// Others asks for images and videos.
	Others bool
	// Stop ends the reading when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Read reads a sitemap. It closes nothing.
func Read(r io.Reader, cfg Config) Sitemap {
	s := &reader{cfg: cfg}
	limited := &io.LimitedReader{R: r, N: MaxSize + 1}
	if cfg.Form == Text {
		s.text(limited)
	} else {
		s.xml(limited)
	}
	switch {
	case limited.N <= 0:
		s.warn("the sitemap is longer than 50 MiB")
	case s.pages >= MaxURLs:
		s.warn("the sitemap has 50,000 URLs or more; only so many are read")
	}
	slices.SortStableFunc(s.out.Entries, worth)
	return s.out
}

// worth orders entries. What stays in the order of the sitemap is most of them:
// few give priorities that differ.
func worth(a, b Entry) int {
	switch {
	case a.Priority > b.Priority:
		return -1
	case a.Priority < b.Priority:
		return 1
	}
	return b.LastMod.Compare(a.LastMod)
}

type reader struct {
	cfg   Config
	out   Sitemap
	pages int // entries but images and the like
	other int
	// path holds the local names of the open elements.
	path []string
	// entry of the url or sitemap element that is open: first index of its entries,
	// and what it says of all of them.
	first    int
	priority float64
	lastMod  time.Time
	chars    []byte
}

func (s *reader) warn(text string) {
	if s.out.Warning == "" {
		s.out.Warning = text
	}
}

func (s *reader) stopped() bool { return s.cfg.Stop != nil && s.cfg.Stop.Load() }

// full reports whether as many URLs were read as a sitemap may have.
func (s *reader) full() bool { return s.pages >= MaxURLs }

func (s *reader) add(url string, kind Kind) {
	url = strings.TrimSpace(url)
	if url == "" || len(url) > maxURL {
		return
	}
	if kind == Page || kind == Index {
		s.pages++
	} else if s.other++; s.other > maxOthers {
		return
	}
	s.out.Entries = append(s.out.Entries, Entry{URL: url, Kind: kind, Priority: 0.5})
}

// text reads one URL a line.
func (s *reader) text(r io.Reader) {
	lines := bufio.NewScanner(decoded(r, s.cfg))
	lines.Buffer(make([]byte, 0, 4096), 64<<10)
	for n := 0; lines.Scan() && !s.full(); n++ {
		if n%256 == 255 && s.stopped() {
			return
		}
		line := strings.TrimSpace(lines.Text())
		if isURL(line) {
			s.add(line, Page)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		s.warn("the sitemap has a line over 64 KiB; the rest was not read")
	} else if err := lines.Err(); err != nil {
		s.warn("the sitemap breaks off: " + err.Error())
	}
}

// decoded takes a byte order mark off, and UTF-16 with it.
func decoded(r io.Reader, cfg Config) io.Reader {
	if cfg.Decoded {
		return r
	}
	return transform.NewReader(r, unicode.BOMOverride(transform.Nop))
}

// xml reads elements. Prefixes do not matter: sitemaps in the wild have them wrong
// more often than they have other elements with these names.
func (s *reader) xml(r io.Reader) {
	dec := xml.NewDecoder(bufio.NewReaderSize(decoded(r, s.cfg), 64<<10))
	dec.Strict = false
	dec.Entity = xml.HTMLEntity
	dec.CharsetReader = s.charset
	for n := 0; !s.full(); n++ {
		if n%256 == 255 && s.stopped() {
			return
		}
		tok, err := dec.RawToken()
		if err != nil {
			switch {
			case errors.Is(err, io.EOF) && len(s.path) > 0:
				s.warn("the sitemap breaks off before its end")
			case !errors.Is(err, io.EOF):
				s.warn(fmt.Sprintf("the sitemap cannot be read beyond line %d: %v", line(dec), err))
			}
			return
		}
		switch t := tok.(type) {
		case xml.StartElement:
			s.start(t)
		case xml.EndElement:
			s.end(strings.ToLower(t.Name.Local))
		case xml.CharData:
			if len(s.chars)+len(t) <= maxURL {
				s.chars = append(s.chars, t...)
			}
		}
	}
}

func line(dec *xml.Decoder) int {
	l, _ := dec.InputPos()
	return l
}

// charset decodes what an XML declaration names. An unknown encoding is read as it
// is: URLs are ASCII.
func (s *reader) charset(label string, r io.Reader) (io.Reader, error) {
	if s.cfg.Decoded || strings.HasPrefix(strings.ToLower(label), "utf-16") {
		return r, nil // the byte order mark has been heeded
	}
	if d, err := charset.NewReaderLabel(label, r); err == nil {
		return d, nil
	}
	return r, nil
}

// maxDepth bounds the elements that are open; a sitemap has five.
const maxDepth = 64

func (s *reader) start(t xml.StartElement) {
	s.chars = s.chars[:0]
	name := strings.ToLower(t.Name.Local)
	if len(s.path) < maxDepth {
		s.path = append(s.path, name)
	}
	switch name {
	case "url", "sitemap":
		s.first, s.priority, s.lastMod = len(s.out.Entries), 0.5, time.Time{}
	case "link": // of another language
		if url, ok := alternate(t.Attr); ok && s.parent() == "url" {
			s.add(url, Alternate)
		}
	}
}

// alternate returns the target of an xhtml:link.
func alternate(attrs []xml.Attr) (url string, ok bool) {
	for _, a := range attrs {
		switch strings.ToLower(a.Name.Local) {
		case "rel":
			ok = strings.EqualFold(strings.TrimSpace(a.Value), "alternate")
		case "href":
			url = a.Value
		}
	}
	return url, ok
}

// parent returns the name of the element around the one that is open.
func (s *reader) parent() string {
	if len(s.path) < 2 {
		return ""
	}
	return s.path[len(s.path)-2]
}

func (s *reader) end(name string) {
	// An end tag that fits no start tag is passed over; one that closes several
	// elements closes them all.
	i := len(s.path) - 1
	for i >= 0 && s.path[i] != name {
		i--
	}
	if i < 0 {
		return
	}
	s.path = s.path[:i+1]
	s.close(name, s.parent())
	s.path = s.path[:i]
	s.chars = s.chars[:0]
}

// close takes an element that ended, with the text that it had.
func (s *reader) close(name, parent string) {
	text := string(bytes.TrimSpace(s.chars))
	switch name {
	case "loc":
		switch parent {
		case "sitemap":
			s.add(text, Index)
		case "image":
			s.addOther(text, Image)
		default: // url, or an element that was misspelt
			s.add(text, Page)
		}
	case "thumbnail_loc":
		s.addOther(text, Image)
	case "content_loc", "player_loc":
		s.addOther(text, Video)
	case "priority":
		if p, err := strconv.ParseFloat(text, 64); err == nil && p >= 0 && p <= 1 {
			s.priority = p
		}
	case "lastmod":
		s.lastMod = parseTime(text)
	case "url", "sitemap":
		for i := min(s.first, len(s.out.Entries)); i < len(s.out.Entries); i++ {
			s.out.Entries[i].Priority, s.out.Entries[i].LastMod = s.priority, s.lastMod
		}
	}
}

func (s *reader) addOther(url string, kind Kind) {
	if s.cfg.Others {
		s.add(url, kind)
	}
}

// parseTime reads the forms of W3C's note on dates; zero for anything else.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
