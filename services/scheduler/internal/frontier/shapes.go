package frontier

import (
	"encoding/binary"

	"github.com/weircrawl/weir/internal/crawl"
)

const (
	// maxShapes is how many patterns of a host are counted: those with the most URLs.
	maxShapes = 80
	// demotion puts a URL behind all others of its host: the range of priorities that
	// rules can give is a million either way.
	demotion = 2_000_001
)

// shapes counts the URLs of a host by pattern, for crawls with a budget for that. A
// pattern that is not among the most frequent may be counted too low and never too
// high, so that no URL is refused for another one's sake.
type shapes struct {
	hash  [maxShapes]uint64
	count [maxShapes]uint32
	n     int
}

// trapped judges a new URL by the budgets of its crawl: it returns why the URL is
// refused, or "" after putting one that is over half of a budget behind the others.
func (f *Frontier) trapped(q *queue, cand *Candidate) string {
	t := &q.c.Traps
	late := false
	if t.PerHost > 0 {
		if q.seen >= t.PerHost {
			return RefuseHostBudget
		}
		late = q.seen >= t.PerHost/2
	}
	if t.PerPattern > 0 {
		if q.shape == nil {
			q.shape = &shapes{}
		}
		have := q.shape.see(crawl.ShapeID(cand.URL), t.PerPattern)
		if have >= t.PerPattern {
			return RefusePatternBudget
		}
		late = late || have >= t.PerPattern/2
	}
	if late {
		cand.Priority += demotion
	}
	return ""
}

// see counts a URL of a pattern, up to most, and returns how many there were before.
func (s *shapes) see(h, most uint64) uint64 {
	least := 0
	for i := range s.n {
		if s.hash[i] == h {
			have := uint64(s.count[i])
			if have < most {
				s.count[i]++
			}
			return have
		}
		if s.count[i] < s.count[least] {
			least = i
		}
	}
	if s.n < maxShapes {
		least = s.n
		s.n++
	}
	s.hash[least], s.count[least] = h, 1
	return 0
}

// bytes returns the counts as they are stored, 12 bytes a pattern.
func (s *shapes) bytes() []byte {
	if s == nil || s.n == 0 {
		return nil
	}
	b := make([]byte, 0, 12*s.n)
	for i := range s.n {
		b = binary.BigEndian.AppendUint64(b, s.hash[i])
		b = binary.BigEndian.AppendUint32(b, s.count[i])
	}
	return b
}

// readShapes reads what bytes wrote; nil for nothing.
func readShapes(b []byte) *shapes {
	if len(b) < 12 {
		return nil
	}
	s := &shapes{}
	for ; len(b) >= 12 && s.n < maxShapes; b = b[12:] {
		s.hash[s.n], s.count[s.n] = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
		s.n++
	}
	return s
}
