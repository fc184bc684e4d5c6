package pebblestore

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// seenCache remembers URLs that the store surely has, since most links of a page
// are to the same few pages of its site. It is direct-mapped: a newcomer takes the
// place of whoever is there. It compares the crawl and the whole 96-bit hash, which
// is a URL's identity everywhere, so a hit is as sure as the store itself; 8 bytes
// more for each entry than a fingerprint, and no lost URL to explain.
type seenCache struct {
	mu    sync.Mutex
	mask  uint64
	slots []seenSlot
}

// seenSlot is empty when no is 0: crawls are numbered from 1.
type seenSlot struct {
	key frontier.Key
	no  frontier.CrawlNo
}

// newSeenCache makes a cache of at least n entries.
func newSeenCache(n int) *seenCache {
	size := uint64(1) << bits.Len64(uint64(max(n, 2)-1))
	return &seenCache{mask: size - 1, slots: make([]seenSlot, size)}
}

// slot returns the only place where a URL may be.
func (c *seenCache) slot(r *frontier.Ref) *seenSlot {
	h := binary.LittleEndian.Uint64(r.Key[:8]) ^ uint64(r.Crawl)*0x9e3779b97f4a7c15
	return &c.slots[h&c.mask]
}

// has reports whether a URL is surely in the store. The caller holds mu.
func (c *seenCache) has(r *frontier.Ref) bool {
	s := c.slot(r)
	return s.no == r.Crawl && s.key == r.Key && r.Crawl != 0
}

// put remembers a URL. The caller holds mu.
func (c *seenCache) put(r *frontier.Ref) { *c.slot(r) = seenSlot{r.Key, r.Crawl} }
