package link

import "hash/maphash"

// set is a set of strings for one page at a time: open addressing over hashes,
// with the strings compared on a hit, so that it is exact. It keeps its memory
// from page to page, unlike a map, and is emptied by moving to a new epoch
// instead of being cleared.
type set struct {
	seed  maphash.Seed
	slots []slot
	urls  []string
	epoch uint32
}

type slot struct {
	epoch uint32
	index uint32 // into urls
	hash  uint64
}

// maxKept is the greatest table that is kept for the next page; a page of a
// hundred thousand links is rare, and its table is 3 MiB.
const maxKept = 1 << 14

// reset empties the set and makes room for n strings and one more.
func (s *set) reset(n int) {
	if s.epoch == 0 {
		// The seed is random: a site cannot choose URLs that collide.
		s.seed = maphash.MakeSeed()
	}
	size := 64
	for size < 2*(n+1) {
		size *= 2
	}
	clear(s.urls) // or the last page's URLs would live as long as the set
	s.urls = s.urls[:0]
	s.epoch++
	if len(s.slots) < size || len(s.slots) > max(size, maxKept) || s.epoch == 0 {
		s.slots = make([]slot, size)
		s.epoch = 1
	}
}

// add puts a string in and reports whether it is new. No more strings may be
// added than reset was told.
func (s *set) add(v string) bool {
	h := maphash.String(s.seed, v)
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		e := &s.slots[i]
		if e.epoch != s.epoch {
			*e = slot{s.epoch, uint32(len(s.urls)), h}
			s.urls = append(s.urls, v)
			return true
		}
		if e.hash == h && s.urls[e.index] == v {
			return false
		}
	}
}
