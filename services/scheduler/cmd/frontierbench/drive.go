package main

import (
	"context"
	"fmt"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// crawlNo is the one crawl of a benchmark.
	crawlNo = frontier.CrawlNo(1)
	// inFlight is how many leases are out at a time.
	inFlight = 192
	// fillRounds as in the service's loop.
	fillRounds = 3
)

// drive is the frontier with its store, taken through the same steps as by the
// service's loop. It belongs to one goroutine; commits are waited for by another.
type drive struct {
	f       *frontier.Frontier
	store   frontier.Store
	commits chan<- pending
	leased  []frontier.Lease // in the order in which they were handed out

	refs    []frontier.Ref
	known   []bool
	missing []frontier.HostRef
}

// pending is a batch on its way to the disk.
type pending struct {
	commit     frontier.Commit
	since      time.Time
	pages      int
	discovered uint64
}

// open brings a store's frontier into memory.
func open(ctx context.Context, store frontier.Store) (*drive, error) {
	start, err := store.Begin(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	f := frontier.New(frontier.DefaultConfig(), start, now)
	for p := range start.Partitions {
		snapshot, err := store.Acquire(ctx, p)
		if err != nil {
			return nil, err
		}
		f.Own(now, snapshot)
	}
	return &drive{f: f, store: store}, nil
}

// begin makes the crawl: no delay, so that the frontier is all that takes time.
func (d *drive) begin() error {
	now := time.Now()
	d.f.PutCrawl(now, frontier.Crawl{No: crawlNo, ID: "bench", Concurrency: 8, CreatedAt: now})
	return d.write(now, 0)
}

// stats of the crawl.
func (d *drive) stats() frontier.Stats {
	_, s, _ := d.f.Crawl(crawlNo)
	return s
}

// add takes seeds, as AddURLs does.
func (d *drive) add(ctx context.Context, cs []frontier.Candidate) error {
	now := time.Now()
	d.refs = d.refs[:0]
	for i := range cs {
		cs[i].Ref = d.f.Ref(crawlNo, cs[i].URL)
		d.refs = append(d.refs, cs[i].Ref)
	}
	if err := d.look(ctx, now); err != nil {
		return err
	}
	d.f.Add(now, crawlNo, cs, d.known)
	return d.write(now, 0)
}

// look admits the hosts of refs and asks the store which refs it knows.
func (d *drive) look(ctx context.Context, now time.Time) error {
	if d.missing = d.f.Missing(d.missing[:0], d.refs); len(d.missing) > 0 {
		hosts, err := d.store.Hosts(ctx, d.missing)
		if err != nil {
			return err
		}
		d.f.Admit(now, hosts)
	}
	d.known = append(d.known[:0], make([]bool, len(d.refs))...)
	return d.store.Known(ctx, d.refs, d.known)
}

// turn applies the results of the oldest leases, one for each page, and hands out as
// many.
func (d *drive) turn(ctx context.Context, pages [][]frontier.Candidate) (int, error) {
	now := time.Now()
	done := d.leased[:min(len(pages), len(d.leased))]
	d.refs = d.refs[:0]
	for i := range done {
		d.refs = append(d.refs, done[i].Ref)
		for j := range pages[i] {
			c := &pages[i][j]
			c.Ref = d.f.Ref(crawlNo, c.URL)
			d.refs = append(d.refs, c.Ref)
		}
	}
	if err := d.look(ctx, now); err != nil {
		return 0, err
	}
	x := frontier.Exchange{Status: 200, Duration: 50 * time.Millisecond}
	for i := range done {
		l := &done[i]
		at := i*(links+1) + 1
		d.f.Report(now, l.ID, x)
		out := d.f.Complete(now, frontier.Completion{
			Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, Exchange: x, EndedAt: now,
			Links: pages[i], Known: d.known[at : at+links], Items: 1, Bytes: 16 << 10,
		}, frontier.Record{})
		if out != frontier.Done {
			return 0, fmt.Errorf("a result was taken as %d", out)
		}
	}
	n := len(done)
	d.leased = append(d.leased[:0], d.leased[n:]...)
	return n, d.handOut(ctx, now, n)
}

// handOut takes new leases, with the windows that they need.
func (d *drive) handOut(ctx context.Context, now time.Time, pages int) error {
	d.next(now)
	if err := d.write(now, pages); err != nil {
		return err
	}
	if err := d.unpark(ctx, now); err != nil {
		return err
	}
	for range fillRounds {
		wants := d.f.Wants()
		if len(wants) == 0 {
			break
		}
		for _, w := range wants {
			filling, err := d.store.Window(ctx, w)
			if err != nil {
				return err
			}
			d.f.Fill(now, w, filling)
		}
		d.next(now)
		if err := d.write(now, 0); err != nil {
			return err
		}
	}
	return nil
}

// unpark brings hosts that wait on disk into memory, when there is room.
func (d *drive) unpark(ctx context.Context, now time.Time) error {
	after, n, ok := d.f.Parked()
	if !ok {
		return nil
	}
	hosts, err := d.store.ScanHosts(ctx, after, n)
	if err != nil {
		return err
	}
	siblings := d.f.Unpark(now, after, hosts)
	if len(siblings) == 0 {
		return nil
	}
	if hosts, err = d.store.Hosts(ctx, siblings); err != nil {
		return err
	}
	d.f.Admit(now, hosts)
	return nil
}

func (d *drive) next(now time.Time) {
	d.leased = append(d.leased, d.f.Next(now, inFlight-len(d.leased))...)
}

// write sends what changed on its way to the disk.
func (d *drive) write(since time.Time, pages int) error {
	d.f.Changes()
	batch := d.f.Flush()
	if batch == nil {
		return nil
	}
	sync := batch.Sync
	commit, err := d.store.Apply(batch)
	if err != nil || !sync {
		return err
	}
	s := d.stats()
	d.commits <- pending{commit: commit, since: since, pages: pages, discovered: s.Discovered}
	return nil
}
