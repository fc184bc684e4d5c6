package frontier

import (
	"hash/maphash"
	"strings"

	"github.com/weircrawl/weir/internal/weburl"
)

// memoSize is the number of URLs whose key is remembered: 2 MiB for the links that
// most pages of a site share.
const memoSize = 1 << 16

// keyMemo remembers keys of URLs seen lately, since hashing 50 links a page by
// SHA-256 costs more than all else that is done with a link that is known. A URL
// is recognised by 128 bits of a hash with a secret seed, so that nobody can make
// two that are mistaken for each other. Its answers are the same as without it.
type keyMemo struct {
	seed1, seed2 maphash.Seed
	slots        []memoSlot
}

// memoSlot is empty when both hashes are 0.
type memoSlot struct {
	h1, h2 uint64
	key    Key
}

func newKeyMemo() keyMemo {
	return keyMemo{seed1: maphash.MakeSeed(), seed2: maphash.MakeSeed(), slots: make([]memoSlot, memoSize)}
}

// key returns u.Key().
func (m *keyMemo) key(u weburl.URL) Key {
	h1, h2 := maphash.String(m.seed1, u.String()), maphash.String(m.seed2, u.String())
	s := &m.slots[h1%memoSize]
	if s.h1 != h1 || s.h2 != h2 || h1|h2 == 0 {
		*s = memoSlot{h1, h2, u.Key()}
	}
	return s.key
}

// homeOf returns where the URLs of an origin are kept.
func (f *Frontier) homeOf(u weburl.URL) home {
	p, ok := f.origins[u.Origin()]
	if !ok {
		if len(f.origins) >= maxOrigins {
			clear(f.origins)
		}
		p = home{host: u.HostID(), partition: weburl.Partition(u.Site(), uint32(len(f.parts)))}
		f.origins[strings.Clone(u.Origin())] = p
	}
	return p
}
