package ownership

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// Assign says which member each partition belongs to: by rendezvous hash, so that
// most stay where they are when a member comes or goes, and at most
// ceil(partitions/members) to each, so that the load is even. It depends on
// nothing but the set of members. Without members the names are empty.
func Assign(partitions uint32, members []string) []string {
	out := make([]string, partitions)
	if len(members) == 0 {
		return out
	}
	members = slices.Clone(members)
	slices.Sort(members)
	members = slices.Compact(members)
	type bid struct {
		weight    uint64
		partition uint32
		member    int
	}
	bids := make([]bid, 0, int(partitions)*len(members))
	for i, name := range members {
		h := fnv.New64a()
		_, _ = h.Write([]byte(name)) // never fails
		base := h.Sum64()
		for p := range partitions {
			bids = append(bids, bid{mix(base ^ mix(uint64(p)+1)), p, i})
		}
	}
	// The strongest bids first: who loses a partition to a full member is then the
	// one with the weakest claim to it.
	slices.SortFunc(bids, func(a, b bid) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.partition, b.partition), cmp.Compare(a.member, b.member))
	})
	most := (int(partitions) + len(members) - 1) / len(members)
	load := make([]int, len(members))
	for _, b := range bids {
		if out[b.partition] == "" && load[b.member] < most {
			out[b.partition] = members[b.member]
			load[b.member]++
		}
	}
	return out
}

// mix spreads every bit over all others (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
