package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// PutCrawl shares a crawl with all services. Seeds and statistics are left out:
// no other service needs them, and they can be long. Only the scheduler calls it.
func (b *Bus) PutCrawl(ctx context.Context, c *crawlv1.Crawl) error {
	kv, err := b.bucket(ctx, bucketCrawls)
	if err != nil {
		return err
	}
	data, err := proto.Marshal(shareable(c))
	if err != nil {
		return crawl.Errorf(crawl.Invalid, "marshal crawl %s: %w", c.GetId(), err)
	}
	if limit := b.MaxPayload() - mib/64; len(data) > limit {
		return crawl.Errorf(crawl.Invalid,
			"crawl %s: spec and seed hosts make %d bytes, over the %d that a NATS message may have; name domains in scope instead of many hosts",
			c.GetId(), len(data), limit)
	}
	if _, err := kv.Put(ctx, c.GetId(), data); err != nil {
		return unavailable("share crawl "+c.GetId(), err)
	}
	return nil
}

// shareable copies what services need of a crawl.
func shareable(c *crawlv1.Crawl) *crawlv1.Crawl {
	c = proto.CloneOf(c)
	c.Stats = nil
	if s := c.GetSpec(); s != nil {
		s.Seeds = nil
	}
	return c
}

// DeleteCrawl takes a crawl back. Deleting one that is not shared is no error.
func (b *Bus) DeleteCrawl(ctx context.Context, crawlID string) error {
	kv, err := b.bucket(ctx, bucketCrawls)
	if err != nil {
		return err
	}
	err = kv.Purge(ctx, crawlID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	return unavailable("take back crawl "+crawlID, err)
}

// Crawls is a cache of compiled specs. It is safe for concurrent use.
type Crawls struct {
	b *Bus

	mu      sync.RWMutex
	entries map[string]*crawlEntry
}

// crawlEntry is one crawl as shared; compiled on first use, since a service may
// never see a page of it.
type crawlEntry struct {
	revision uint64 // of the key, to keep an older value from replacing a newer
	crawl    *crawlv1.Crawl

	once     sync.Once
	compiled *spec.Compiled
	err      error
}

// WatchCrawls makes a cache. It asks the server for every crawl that it does not
// know yet; Run keeps what it knows up to date.
func (b *Bus) WatchCrawls(context.Context) (*Crawls, error) {
	return &Crawls{b: b, entries: make(map[string]*crawlEntry)}, nil
}

// Run follows changes until ctx ends, then returns nil. It waits with back-off
// while the bucket does not exist or the server is away.
func (c *Crawls) Run(ctx context.Context) error {
	c.b.follow(ctx, bucketCrawls, func() func(jetstream.KeyValueEntry) error {
		return func(e jetstream.KeyValueEntry) error {
			if e != nil {
				c.take(e)
			}
			return nil
		}
	})
	return nil
}

// take applies one change.
func (c *Crawls) take(e jetstream.KeyValueEntry) {
	if e.Operation() != jetstream.KeyValuePut {
		c.mu.Lock()
		delete(c.entries, e.Key())
		c.mu.Unlock()
		return
	}
	_, _ = c.store(e) // Get reports a value that cannot be read
}

// store puts a value into the cache, unless a newer one is there, and returns
// what is there.
func (c *Crawls) store(e jetstream.KeyValueEntry) (*crawlEntry, error) {
	msg := new(crawlv1.Crawl)
	if err := proto.Unmarshal(e.Value(), msg); err != nil {
		return nil, fmt.Errorf("read crawl %s: %w", e.Key(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[e.Key()]; old != nil && old.revision >= e.Revision() {
		return old, nil
	}
	ent := &crawlEntry{revision: e.Revision(), crawl: msg}
	c.entries[e.Key()] = ent
	return ent, nil
}

// Get returns a crawl's compiled spec, from the cache or the server. An error of
// kind NotFound says that there is no such crawl, Unavailable that the server is
// away, Internal that the spec does not compile.
func (c *Crawls) Get(ctx context.Context, crawlID string) (*spec.Compiled, error) {
	c.mu.RLock()
	ent := c.entries[crawlID]
	c.mu.RUnlock()
	if ent == nil {
		var err error
		if ent, err = c.load(ctx, crawlID); err != nil {
			return nil, err
		}
	}
	return ent.compile()
}

// State returns the state of a crawl; its errors are those of Get.
func (c *Crawls) State(ctx context.Context, crawlID string) (crawlv1.CrawlState, error) {
	c.mu.RLock()
	ent := c.entries[crawlID]
	c.mu.RUnlock()
	if ent == nil {
		var err error
		if ent, err = c.load(ctx, crawlID); err != nil {
			return crawlv1.CrawlState_CRAWL_STATE_UNSPECIFIED, err
		}
	}
	return ent.crawl.GetState(), nil
}

// EndedBefore returns the ids of the crawls that are known to have ended before a time.
// Those that the scheduler has deleted are not known any more.
func (c *Crawls) EndedBefore(t time.Time) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var ids []string
	for id, ent := range c.entries {
		if at := ent.crawl.GetEndedAt(); at != nil && at.AsTime().Before(t) {
			ids = append(ids, id)
		}
	}
	return ids
}

// At is Get for a revision that the scheduler has shared: where the cache is older,
// since its news are still on their way, it asks the server.
func (c *Crawls) At(ctx context.Context, crawlID string, revision uint64) (*spec.Compiled, error) {
	got, err := c.Get(ctx, crawlID)
	if err != nil || got.Revision >= revision {
		return got, err
	}
	ent, err := c.load(ctx, crawlID)
	if err != nil {
		return nil, err
	}
	return ent.compile()
}

// compile returns the entry's compiled spec.
func (e *crawlEntry) compile() (*spec.Compiled, error) {
	e.once.Do(func() { e.compiled, e.err = spec.Compile(e.crawl) })
	if e.err != nil {
		// The scheduler has validated it: not the message's fault.
		return nil, crawl.Errorf(crawl.Internal, "compile spec of crawl %s: %w", e.crawl.GetId(), e.err)
	}
	return e.compiled, nil
}

// load asks the server.
func (c *Crawls) load(ctx context.Context, crawlID string) (*crawlEntry, error) {
	kv, err := c.b.bucket(ctx, bucketCrawls)
	if err != nil {
		return nil, err
	}
	e, err := kv.Get(ctx, crawlID)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, crawl.Errorf(crawl.NotFound, "crawl %s does not exist", crawlID)
	case errors.Is(err, jetstream.ErrInvalidKey):
		return nil, crawl.Errorf(crawl.Invalid, "%q is not the id of a crawl", crawlID)
	case err != nil:
		return nil, unavailable("read crawl "+crawlID, err)
	}
	return c.store(e)
}
