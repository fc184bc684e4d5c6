package catalogue

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"github.com/weircrawl/weir/internal/crawl"
)

// Count names a number that is kept of a crawl beside the sums that every crawl has.
type Count struct {
	// Of is what is counted: CountStatus, CountError, CountRule or CountSum.
	Of string
	// Name is the status, class, rule, or sum.
	Name string
}

// What is counted.
const (
	CountStatus = "status"
	CountError  = "error"
	CountRule   = "rule"
	CountSum    = "sum"
)

// The sums that only some crawls have.
const (
	sumRejects    = "rejects"
	sumMedia      = "media"
	sumDuplicates = "duplicates"
)

// Growth is what a batch adds to a crawl's sums; it may take away.
type Growth struct {
	// Attempts, Pages, Items and ArchiveBytes as in Stats.
	Attempts, Pages, Items, ArchiveBytes int64
	// Counts are the others.
	Counts map[Count]int64
}

// NewGrowth returns an empty one.
func NewGrowth() *Growth { return &Growth{Counts: map[Count]int64{}} }

// Add counts a page that is stored, with what Commit has found out about it.
func (g *Growth) Add(p *Page) {
	if p.Kind != KindReading {
		g.attempt(p.Status, p.Error, 1)
	}
	if p.Kind == KindPage && p.Status/100 == 2 {
		g.Pages++
	}
	for i := range p.Items {
		g.Items++
		g.Counts[Count{CountRule, p.Items[i].Rule}]++
	}
	if n := len(p.Rejects); n > 0 {
		g.Counts[Count{CountSum, sumRejects}] += int64(n)
	}
	if p.Kind == KindMedia && p.Status/100 == 2 && p.Error == crawl.ClassNone {
		g.Counts[Count{CountSum, sumMedia}]++
	}
	if p.DuplicateOf != 0 {
		g.Counts[Count{CountSum, sumDuplicates}]++
	}
}

// Replaced takes back a failed attempt whose place another takes.
func (g *Growth) Replaced(status uint32, class crawl.Class) { g.attempt(status, class, -1) }

func (g *Growth) attempt(status uint32, class crawl.Class, n int64) {
	g.Attempts += n
	if status != 0 {
		g.Counts[Count{CountStatus, strconv.FormatUint(uint64(status), 10)}] += n
	}
	if class != crawl.ClassNone {
		g.Counts[Count{CountError, class.String()}] += n
	}
}

// Superseded takes back items of a rule that were deleted.
func (g *Growth) Superseded(rule string, n int64) {
	g.Items -= n
	g.Counts[Count{CountRule, rule}] -= n
}

// SupersededRejects takes back items that did not fit.
func (g *Growth) SupersededRejects(n int64) { g.Counts[Count{CountSum, sumRejects}] -= n }

// Set puts a number that was kept back into the stats that it is part of. One that is
// not above 0 is left out.
func (s *Stats) Set(c Count, n int64) {
	if n <= 0 {
		return
	}
	put := func(m *map[string]uint64) {
		if *m == nil {
			*m = map[string]uint64{}
		}
		(*m)[c.Name] = uint64(n)
	}
	switch c.Of {
	case CountStatus:
		if status, err := strconv.ParseUint(c.Name, 10, 32); err == nil {
			if s.Statuses == nil {
				s.Statuses = map[uint32]uint64{}
			}
			s.Statuses[uint32(status)] = uint64(n)
		}
	case CountError:
		put(&s.Errors)
	case CountRule:
		put(&s.Rules)
	case CountSum:
		switch c.Name {
		case sumRejects:
			s.Rejects = uint64(n)
		case sumMedia:
			s.Media = uint64(n)
		case sumDuplicates:
			s.Duplicates = uint64(n)
		}
	}
}

// DigestItems is a digest of the items of a page, the time of the visit aside, by
// which a later visit finds them unchanged. It is never 0.
func DigestItems(items []Item) uint64 {
	h := sha256.New()
	var n [12]byte
	for i := range items {
		it := &items[i]
		before, after := timeless(it.JSON)
		binary.BigEndian.PutUint32(n[:], it.Index)
		binary.BigEndian.PutUint32(n[4:], uint32(len(it.Rule)))
		binary.BigEndian.PutUint32(n[8:], uint32(len(before)+len(after)))
		h.Write(n[:])
		h.Write([]byte(it.Rule))
		h.Write(before)
		h.Write(after)
	}
	return binary.BigEndian.Uint64(h.Sum(nil)) | 1
}

// timeless returns an item without the value of its _fetched_at. A text inside the
// item cannot look like the field: its quotes are escaped.
func timeless(json []byte) (before, after []byte) {
	const field = `"_fetched_at":"`
	i := bytes.Index(json, []byte(field))
	if i < 0 {
		return json, nil
	}
	i += len(field)
	end := bytes.IndexByte(json[i:], '"')
	if end < 0 {
		return json[:i], nil
	}
	return json[:i], json[i+end:]
}

// ClassNamed is the inverse of Class.String, "" for none; an unknown name is "other".
func ClassNamed(s string) crawl.Class {
	if s == "" {
		return crawl.ClassNone
	}
	for c := crawl.ClassNone + 1; int(c) < crawl.Classes; c++ {
		if c.String() == s {
			return c
		}
	}
	return crawl.ClassOther
}

// ClassName is the name of a class as it is kept, "" for none.
func ClassName(c crawl.Class) string {
	if c == crawl.ClassNone {
		return ""
	}
	return c.String()
}
