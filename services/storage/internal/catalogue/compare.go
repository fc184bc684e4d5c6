package catalogue

import "math/bits"

// ContentSize is how much of a digest of a content is kept: 96 bits, of which no two
// are the same by chance.
const ContentSize = 12

const (
	// nearBits is in how many bits the SimHashes of pages that are near may differ. With
	// three, two of them have one of their four quarters in common.
	nearBits = 3
	// MaxNear is how many pages with a common quarter are looked at. It bounds the work
	// for a page of a large crawl; beyond it some that are near are not found.
	MaxNear = 256
)

// WantsNear reports whether pages that are near are looked for: it has a content that
// was compared, found to be new, and a SimHash.
func (p *Page) WantsNear() bool { return len(p.Content) > 0 && p.SimHash != 0 && p.DuplicateOf == 0 }

// Near reports whether two SimHashes are those of pages with nearly the same text.
func Near(a, b uint64) bool { return bits.OnesCount64(a^b) <= nearBits }

// Quarters are what pages are found by that are near: each quarter of a SimHash, with
// its number above it.
func Quarters(hash uint64) (q [4]int64) {
	for i := range q {
		q[i] = int64(i)<<16 | int64(hash>>(16*i)&0xffff)
	}
	return q
}
