package scheduler

import (
	"sync"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// broadcast wakes everybody who waits for the state of any crawl to change.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

// wait returns a channel that is closed at the next send. Take it before looking
// at the state, so that no change is missed.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

// dirtySet collects crawls to be announced; one that changes again before it was
// announced is announced once.
type dirtySet struct {
	mu   sync.Mutex
	nos  map[frontier.CrawlNo]struct{}
	wake chan struct{} // capacity 1: a mark that there is something
}

func newDirtySet() *dirtySet {
	return &dirtySet{nos: map[frontier.CrawlNo]struct{}{}, wake: make(chan struct{}, 1)}
}

func (d *dirtySet) add(nos []frontier.CrawlNo) {
	d.mu.Lock()
	for _, no := range nos {
		d.nos[no] = struct{}{}
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dirtySet) take() []frontier.CrawlNo {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]frontier.CrawlNo, 0, len(d.nos))
	for no := range d.nos {
		out = append(out, no)
	}
	clear(d.nos)
	return out
}
