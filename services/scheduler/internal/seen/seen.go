// Package seen remembers URLs that a store surely has.
package seen

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Cache remembers URLs that a store surely has, since most links of a page are to
// the same few pages of its site. It is direct-mapped: a newcomer takes the place of
// whoever is there. It compares the crawl and the whole 96-bit hash, which is a
// URL's identity everywhere, so a hit is as sure as the store itself; 8 bytes more
// for each entry than a fingerprint, and no lost URL to explain.
//
// It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	mask  uint64
	slots []slot
	used  int    // of slots
	most  uint64 // slots that it may have
}

const (
	// firstSlots are those of a cache that remembers nothing yet: 256 KiB.
	firstSlots = 1 << 14
	// growth is by how much it grows when half of its slots are used.
	growth = 4
)

// slot is empty when no is 0: crawls are numbered from 1.
type slot struct {
	key frontier.Key
	no  frontier.CrawlNo
}

// NewCache makes a cache that grows to at least n entries of 16 bytes.
func NewCache(n int) *Cache {
	most := uint64(1) << bits.Len64(uint64(max(n, 2)-1))
	c := &Cache{most: most}
	c.resize(min(most, firstSlots))
	return c
}

func (c *Cache) resize(n uint64) {
	old := c.slots
	c.slots, c.mask, c.used = make([]slot, n), n-1, 0
	for _, s := range old {
		if s.no != 0 {
			c.put(&frontier.Ref{Crawl: s.no, Key: s.key})
		}
	}
}

// slot returns the only place where a URL may be.
func (c *Cache) slot(r *frontier.Ref) *slot {
	h := binary.LittleEndian.Uint64(r.Key[:8]) ^ uint64(r.Crawl)*0x9e3779b97f4a7c15
	return &c.slots[h&c.mask]
}

// Ask sets known for each ref that is surely in the store, and clears it for the
// others, whose indexes it returns.
func (c *Cache) Ask(refs []frontier.Ref, known []bool) (ask []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range refs {
		r := &refs[i]
		s := c.slot(r)
		known[i] = s.no == r.Crawl && s.key == r.Key && r.Crawl != 0
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
	s := c.slot(r)
	if s.no == 0 && r.Crawl != 0 {
		c.used++
		if n := uint64(len(c.slots)); n < c.most && uint64(c.used) > n/2 {
			c.resize(min(c.most, growth*n))
			s = c.slot(r)
			c.used++
		}
	}
	*s = slot{r.Key, r.Crawl}
}
