package pebblestore

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Keys, all integers big-endian so that they sort as numbers:
//
//	pp U cc host key     record of a URL
//	pp Q cc host prio seq  item of a host queue
//	pp T due cc host key delayed URL, due in ms
//	pp R cc host         counters of a host in a crawl, with URLs in its queue
//	pp I cc host         the same without: a restart does not read these
//	pp H host            politeness of a host
//	pp B host            text of its robots.txt
//	pp S cc site         cookies of a crawl and site
//	pp L lease           lease
//	pp K cc              counters of a crawl
//	pp O seq             links for another partition
//	pp E                 epoch
//	ff C cc              crawl
//	ff N request         the crawl that a request made
//	ff M name            facts of the store
//
// pp is the partition in 2 bytes, so that a partition is one range of keys, ff is
// 0xffff; cc (crawl) has 4 bytes, host 8, key 12, prio 4, seq 8, due 6, lease 8. A
// page's links mostly share crawl and host, so their records share few blocks.
const (
	kindURL    = 'U'
	kindQueue  = 'Q'
	kindDue    = 'T'
	kindReady  = 'R'
	kindIdle   = 'I'
	kindHost   = 'H'
	kindRobots = 'B'
	kindJar    = 'S'
	kindLease  = 'L'
	kindCrawl  = 'C'
	kindStats  = 'K'
	kindOutbox = 'O'
	kindEpoch  = 'E'
	kindNumber = 'N'
	kindMeta   = 'M'

	global = 0xffff
)

// Facts of the store.
const (
	metaFormat     = "format"
	metaPartitions = "partitions"
	metaRun        = "run"
	metaCrawl      = "crawl"
	metaSeq        = "seq"
)

// prefix begins a key.
func prefix(b []byte, partition uint32, kind byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(partition)), kind)
}

// hostKey appends what keys of a host in a crawl begin with.
func hostKey(b []byte, kind byte, partition uint32, no frontier.CrawlNo, h frontier.HostID) []byte {
	b = binary.BigEndian.AppendUint32(prefix(b, partition, kind), uint32(no))
	return binary.BigEndian.AppendUint64(b, h)
}

// urlKey appends the key of a URL's record.
func urlKey(b []byte, r *frontier.Ref) []byte {
	return append(hostKey(b, kindURL, r.Partition, r.Crawl, r.Host), r.Key[:]...)
}

// queueKey appends the key of an item.
func queueKey(b []byte, partition uint32, no frontier.CrawlNo, h frontier.HostID, k frontier.QKey) []byte {
	b = hostKey(b, kindQueue, partition, no, h)
	// The sign bit is turned so that negative priorities sort first.
	b = binary.BigEndian.AppendUint32(b, uint32(k.Priority)^1<<31)
	return binary.BigEndian.AppendUint64(b, k.Seq)
}

// dueKey appends the key of a delayed URL.
func dueKey(b []byte, ms uint64, r *frontier.Ref) []byte {
	b = duePrefix(b, r.Partition, ms)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Crawl))
	b = binary.BigEndian.AppendUint64(b, r.Host)
	return append(b, r.Key[:]...)
}

// duePrefix appends what keys of one due time begin with.
func duePrefix(b []byte, partition uint32, ms uint64) []byte {
	b = prefix(b, partition, kindDue)
	var t [8]byte
	binary.BigEndian.PutUint64(t[:], min(ms, 1<<48-1))
	return append(b, t[2:]...)
}

// parseDueKey reads a key of dueKey.
func parseDueKey(k []byte) (ms uint64, r frontier.Ref, ok bool) {
	if len(k) != 3+6+4+8+12 || k[2] != kindDue {
		return 0, r, false
	}
	var t [8]byte
	copy(t[2:], k[3:9])
	r.Partition = uint32(binary.BigEndian.Uint16(k))
	r.Crawl = frontier.CrawlNo(binary.BigEndian.Uint32(k[9:]))
	r.Host = binary.BigEndian.Uint64(k[13:])
	copy(r.Key[:], k[21:])
	return binary.BigEndian.Uint64(t[:]), r, true
}

// parseURLKey reads a key of urlKey.
func parseURLKey(k []byte) (r frontier.Ref, ok bool) {
	if len(k) != 3+4+8+12 || k[2] != kindURL {
		return r, false
	}
	h, _ := parseHostKey(k[:15])
	r.Partition, r.Crawl, r.Host = h.Partition, h.Crawl, h.Host
	copy(r.Key[:], k[15:])
	return r, true
}

// parseQueueKey reads the place from a key of queueKey.
func parseQueueKey(k []byte) (q frontier.QKey, ok bool) {
	if len(k) != 3+4+8+4+8 || k[2] != kindQueue {
		return q, false
	}
	q.Priority = int32(binary.BigEndian.Uint32(k[15:]) ^ 1<<31)
	q.Seq = binary.BigEndian.Uint64(k[19:])
	return q, true
}

// parseHostKey reads a key of hostKey.
func parseHostKey(k []byte) (r frontier.HostRef, ok bool) {
	if len(k) != 3+4+8 {
		return r, false
	}
	r.Partition = uint32(binary.BigEndian.Uint16(k))
	r.Crawl = frontier.CrawlNo(binary.BigEndian.Uint32(k[3:]))
	r.Host = binary.BigEndian.Uint64(k[7:])
	return r, true
}

// plainKey appends the key of a row of a host, whatever the crawl, or of
// another row that has a 64-bit number.
func plainKey(b []byte, partition uint32, kind byte, h frontier.HostID) []byte {
	return binary.BigEndian.AppendUint64(prefix(b, partition, kind), h)
}

// parsePlainKey reads the number from a key of plainKey.
func parsePlainKey(k []byte) (n uint64, ok bool) {
	if len(k) != 3+8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(k[3:]), true
}

// crawlKey appends the key of a row of a crawl, or what all keys of a crawl's rows
// of a kind begin with. The partition of a crawl itself is global.
func crawlKey(b []byte, partition uint32, kind byte, no frontier.CrawlNo) []byte {
	return binary.BigEndian.AppendUint32(prefix(b, partition, kind), uint32(no))
}

// parseCrawlKey reads the number from a key of crawlKey.
func parseCrawlKey(k []byte) (frontier.CrawlNo, bool) {
	if len(k) != 3+4 {
		return 0, false
	}
	return frontier.CrawlNo(binary.BigEndian.Uint32(k[3:])), true
}

// after returns the key that follows all keys with a prefix; prefixes end with a
// kind or an identity, never with 0xff bytes only.
func after(p []byte) []byte {
	e := append([]byte(nil), p...)
	for i := len(e) - 1; i >= 0; i-- {
		if e[i]++; e[i] != 0 {
			return e[:i+1]
		}
	}
	return e
}

// bounds are those of all keys with a prefix.
func bounds(p []byte) *pebble.IterOptions {
	return &pebble.IterOptions{LowerBound: p, UpperBound: after(p)}
}

// metaKey is the key of a fact.
func metaKey(name string) []byte { return append(prefix(nil, global, kindMeta), name...) }

// number reads a number, 0 when it was never written.
func (s *Store) number(key []byte) (uint64, error) {
	v, closer, err := s.db.Get(key)
	if err == pebble.ErrNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", key, err)
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("read %q: %w", key, rows.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(v), nil
}

// setNumber writes a number.
func setNumber(b *pebble.Batch, key []byte, v uint64) error {
	return b.Set(key, binary.BigEndian.AppendUint64(nil, v), nil)
}
