package rows

import (
	"bytes"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Partitions collects the partitions that batches touch. The zero value is ready;
// it keeps its memory from one batch to the next.
type Partitions struct {
	in   []uint64 // a bit for each partition
	list []uint32
}

// Of returns the partitions whose rows a batch writes, each once. The slice is
// valid until the next call.
func (t *Partitions) Of(b *frontier.Batch) []uint32 {
	clear(t.in)
	t.list = t.list[:0]
	for i := range b.URLs {
		t.add(b.URLs[i].Ref.Partition)
	}
	for i := range b.Queue {
		t.add(b.Queue[i].Ref.Partition)
	}
	for i := range b.Due {
		t.add(b.Due[i].Ref.Partition)
	}
	for i := range b.Ready {
		t.add(b.Ready[i].Partition)
	}
	for i := range b.Hosts {
		t.add(b.Hosts[i].Partition)
	}
	for i := range b.Robots {
		t.add(b.Robots[i].Partition)
	}
	for i := range b.Jars {
		t.add(b.Jars[i].Partition)
	}
	for i := range b.Crawls {
		t.add(b.Crawls[i].Home)
	}
	for i := range b.Stats {
		t.add(b.Stats[i].Partition)
	}
	for i := range b.Leases {
		t.add(b.Leases[i].Partition)
	}
	for i := range b.Outbox {
		t.add(b.Outbox[i].Partition)
	}
	return t.list
}

// maxPartition bounds the memory for partitions that cannot exist.
const maxPartition = 1 << 16

func (t *Partitions) add(p uint32) {
	if p >= maxPartition { // some store will refuse it, listed twice or not
		t.list = append(t.list, p)
		return
	}
	for int(p>>6) >= len(t.in) {
		t.in = append(t.in, 0)
	}
	if bit := uint64(1) << (p & 63); t.in[p>>6]&bit == 0 {
		t.in[p>>6] |= bit
		t.list = append(t.list, p)
	}
}

// CompareRefs orders refs by partition, crawl, host and key.
func CompareRefs(a, b *frontier.Ref) int {
	switch {
	case a.Partition != b.Partition:
		return int(a.Partition) - int(b.Partition)
	case a.Crawl != b.Crawl:
		return int(int64(a.Crawl) - int64(b.Crawl))
	case a.Host != b.Host:
		if a.Host < b.Host {
			return -1
		}
		return 1
	}
	return bytes.Compare(a.Key[:], b.Key[:])
}
