// Package seen remembers URLs that a store surely has.
package seen

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Cache remembers URLs that a store surely has, since most links of a page are to
// the same few pages of its site. A URL may be in any of the four places of its set, and
// a newcomer takes that of the one that was asked for longest ago: with one place for
// each, a fifth of the links of a cache that is half full would be asked of the store.
// It compares the crawl and the whole 96-bit hash, which is a URL's identity everywhere,
// so a hit is as sure as the store itself; 8 bytes more for each entry than a
// fingerprint, and no lost URL to explain.
//
// It is safe for concurrent use.
type Cache struct {
	mu   sync.Mutex
	mask uint64
	sets []set
	used int    // places
	most uint64 // sets that it may have
}

const (
	// ways is how many places a set has: they fill a line of the processor's cache.
	ways = 4
	// firstSets are those of a cache that remembers nothing yet: 256 KiB.
	firstSets = 1 << 12
	// growth is by how much it grows when three of four places are used.
	growth = 2
)

// set has its entries in the order in which they were last asked for, the empty ones
// last.
type set [ways]entry

// entry is empty when no is 0: crawls are numbered from 1.
type entry struct {
	key frontier.Key
	no  frontier.CrawlNo
}

// NewCache makes a cache that grows to at least n entries of 16 bytes.
func NewCache(n int) *Cache {
	most := uint64(1) << bits.Len64(uint64(max(n, 2*ways)/ways-1))
	c := &Cache{most: most}
	c.resize(min(most, firstSets))
	return c
}

func (c *Cache) resize(n uint64) {
	old := c.sets
	c.sets, c.mask, c.used = make([]set, n), n-1, 0
	for i := range old {
		for j := range old[i] {
			e := old[i][ways-1-j] // the last asked for goes in last
			if e.no != 0 && c.set(&e).add(e) {
				c.used++
			}
		}
	}
}

// set returns the only one where an entry may be.
func (c *Cache) set(e *entry) *set {
	h := binary.LittleEndian.Uint64(e.key[:8]) ^ uint64(e.no)*0x9e3779b97f4a7c15
	return &c.sets[h&c.mask]
}

// has reports whether e is in the set, and puts it first.
func (s *set) has(e entry) bool {
	for i := range s {
		if s[i] == e {
			copy(s[1:i+1], s[:i])
			s[0] = e
			return true
		}
	}
	return false
}

// add puts e, which is not in the set, first, and reports whether there was a place left.
func (s *set) add(e entry) bool {
	room := s[ways-1].no == 0
	copy(s[1:], s[:ways-1])
	s[0] = e
	return room
}

// Ask sets known for each ref that is surely in the store, and clears it for the
// others, whose indexes it returns.
func (c *Cache) Ask(refs []frontier.Ref, known []bool) (ask []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range refs {
		e := entry{refs[i].Key, refs[i].Crawl}
		known[i] = e.no != 0 && c.set(&e).has(e)
		if !known[i] {
			ask = append(ask, int32(i))
		}
	}
	return ask
}

// Learn remembers those of the refs at the indexes ask that are known.
func (c *Cache) Learn(refs []frontier.Ref, known []bool, ask []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range ask {
		if known[i] {
			c.put(&refs[i])
		}
	}
}

// Wrote remembers records that were written.
func (c *Cache) Wrote(urls []frontier.URLRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range urls {
		c.put(&urls[i].Ref)
	}
}

func (c *Cache) put(r *frontier.Ref) {
	e := entry{r.Key, r.Crawl}
	s := c.set(&e)
	if e.no == 0 || s.has(e) || !s.add(e) {
		return
	}
	c.used++
	if n := uint64(len(c.sets)); n < c.most && uint64(c.used) > n*ways*3/4 {
		c.resize(min(c.most, growth*n))
	}
}
