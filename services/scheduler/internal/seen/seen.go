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
}

// slot is empty when no is 0: crawls are numbered from 1.
type slot struct {
	key frontier.Key
	no  frontier.CrawlNo
}

// NewCache makes a cache of at least n entries of 16 bytes.
func NewCache(n int) *Cache {
	size := uint64(1) << bits.Len64(uint64(max(n, 2)-1))
	return &Cache{mask: size - 1, slots: make([]slot, size)}
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

func (c *Cache) put(r *frontier.Ref) { *c.slot(r) = slot{r.Key, r.Crawl} }
