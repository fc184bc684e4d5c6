package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/internal/warc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// handle stores a batch of records and publishes their results. Everything that
// can be wrong with a record is found before anything is written, so that a batch
// with a bad record is refused whole; the bus then hands over each alone.
func (s *Service) handle(ctx context.Context, ds []bus.Delivery) (err error) {
	b, err := s.decode(ds)
	if err != nil {
		s.m.records.WithLabelValues("invalid").Inc()
		return err
	}
	defer b.close()
	batch := s.begin(b, ds)
	defer func() { b.end(batch, err) }()
	ctx = batch.In(ctx)
	if err := s.space.check(); err != nil {
		return err
	}
	if err := s.store(ctx, b); err != nil {
		return err
	}
	if err := s.reread(ctx, b.readings); err != nil {
		return err
	}
	results := make([]bus.Message, len(b.entries))
	for i, e := range b.entries {
		r, err := s.result(ctx, e)
		if err != nil {
			return err
		}
		results[i] = bus.Result(r)
		results[i].Outlinks = e.links
		results[i].Trace = e.span.Place()
	}
	return s.deps.Bus.PublishBundles(ctx, results...)
}

// batch is what one commit is made of.
type batch struct {
	entries  []*entry
	readings []*catalogue.Page // of stored pages, which have no result
	bytes    int               // of the messages

	// committing is when the commit began, and committed when it was over; zero without.
	committing, committed time.Time
}

// entry is a record on its way into the stores.
type entry struct {
	rec   *crawlv1.Record
	links bus.Outlinks // those that are not in rec
	page  *catalogue.Page
	known bool // stored already: by an earlier delivery, or earlier in the batch
	body  io.Closer
	// revisit is the record that has the body already; nil for a body of its own.
	revisit *archive.Revisit
	// twin is the entry of the batch that is stored instead; nil without one.
	twin *entry
	// duplicate: of one that was stored by an earlier delivery, that its page has the
	// content of an earlier one.
	duplicate bool
	// message is the number of its delivery, and span that of its visit; nil without.
	message int
	span    *trace.Span
}

func (b *batch) close() {
	for _, e := range b.entries {
		if e.body != nil {
			_ = e.body.Close() // read only
			e.body = nil
		}
	}
}

func (s *Service) decode(ds []bus.Delivery) (*batch, error) {
	b := &batch{entries: make([]*entry, 0, len(ds))}
	for i := range ds {
		rec, links, err := bus.ReadRecord(ds[i].Data)
		if err != nil {
			return nil, fmt.Errorf("message on %s: %w", ds[i].Subject, err)
		}
		if err := check(rec); err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "record of %.200q: %w", rec.GetRef().GetUrl(), err)
		}
		b.bytes += len(ds[i].Data)
		if rec.GetReparse() {
			b.readings = append(b.readings, pageOf(rec))
			continue
		}
		e := &entry{rec: rec, page: pageOf(rec), links: links, message: i}
		e.page.Outlinks += uint32(links.Count())
		b.entries = append(b.entries, e)
	}
	return b, nil
}

// store commits what is not known yet: the archive first, then the catalogue, in
// whose transaction the archive's new size is.
func (s *Service) store(ctx context.Context, b *batch) error {
	if len(b.entries) == 0 {
		return nil
	}
	start := time.Now()
	if err := s.markKnown(ctx, b.entries); err != nil {
		return err
	}
	if err := s.compare(ctx, b.entries); err != nil {
		return err
	}
	commit := &catalogue.Batch{ArchiveBytes: map[string]int64{}}
	var exchanges []*archive.Exchange
	var archived []*entry
	for _, e := range b.entries {
		if e.known {
			continue
		}
		commit.Pages = append(commit.Pages, e.page)
		if e.rec.GetFetch().GetStatus() == 0 {
			continue // no response, nothing to archive
		}
		x := exchangeOf(e)
		if err := s.attachBody(ctx, e, x); err != nil {
			return err
		}
		exchanges, archived = append(exchanges, x), append(archived, e)
	}
	if len(commit.Pages) > 0 {
		b.committing = time.Now()
		if err := s.commit(ctx, commit, exchanges, archived); err != nil {
			return err
		}
		b.committed = time.Now()
		s.m.commit.Observe(time.Since(start).Seconds())
	}
	s.m.batch.Observe(float64(len(b.entries)))
	s.m.records.WithLabelValues("stored").Add(float64(len(commit.Pages)))
	s.m.records.WithLabelValues("duplicate").Add(float64(len(b.entries) - len(commit.Pages)))
	s.dropBodies(ctx, b.entries)
	return nil
}

func (s *Service) commit(ctx context.Context, c *catalogue.Batch, xs []*archive.Exchange, archived []*entry) error {
	r, err := s.arch.Append(ctx, s.deps.Now(), xs)
	if err != nil {
		return err
	}
	c.Sizes = r.Sizes
	var total int64
	for i, e := range archived {
		e.page.Place = r.Places[i]
		c.ArchiveBytes[e.page.Crawl] += r.Bytes[i]
		total += r.Bytes[i]
	}
	if err := s.cat.Commit(ctx, c); err != nil {
		return err
	}
	s.arch.Keep(r)
	s.news.tell()
	s.m.archive.Add(float64(total))
	for _, p := range c.Pages {
		s.m.items.Add(float64(len(p.Items)))
	}
	return nil
}

// markKnown finds the attempts that need not be stored, in the catalogue and
// among the batch itself. An attempt that is done again, since its results were
// lost with their stream, may go another way than before: a page takes the place
// of a failure, so that what the result says is stored.
func (s *Service) markKnown(ctx context.Context, entries []*entry) error {
	keys := make([]catalogue.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.page.Key
	}
	known, err := s.cat.Known(ctx, keys)
	if err != nil {
		return err
	}
	inBatch := make(map[catalogue.Key]*entry, len(entries))
	for i, e := range entries {
		good := e.page.Error == crawl.ClassNone
		switch twin := inBatch[keys[i]]; {
		case known[i].State == catalogue.Good, known[i].State == catalogue.Failed && !good:
			e.known, e.duplicate = true, known[i].Duplicate
			continue
		case twin != nil && (!good || twin.page.Error == crawl.ClassNone):
			e.known, e.twin = true, twin
			continue
		case twin != nil:
			twin.known, twin.twin = true, e
		}
		e.page.Replaces = known[i].State == catalogue.Failed
		inBatch[keys[i]] = e
	}
	return nil
}

// attachBody gives an exchange its body in the form that the archive takes.
func (s *Service) attachBody(ctx context.Context, e *entry, x *archive.Exchange) error {
	if x.Revisit = e.revisit; x.Revisit != nil {
		return nil
	}
	switch d := e.rec.GetBody().GetData().(type) {
	case *crawlv1.Body_Deflate:
		trimmed, resynced, err := trim(&s.resync, d.Deflate, x.Body.Sum)
		if err != nil {
			return crawl.Errorf(crawl.Invalid, "record of %.200q: %w", e.page.CanonicalURL, err)
		}
		if resynced {
			s.m.resync.Inc()
		}
		x.Body.Deflate = trimmed
	case *crawlv1.Body_Ref:
		body, err := s.spool.Open(ctx, d.Ref)
		if crawl.KindOf(err) == crawl.NotFound {
			// Swept, or put at another storage: the page can only be fetched again.
			return crawl.Errorf(crawl.Invalid, "record of %.200q: its body is gone: %w", e.page.CanonicalURL, err)
		}
		if err != nil {
			return s.space.wrap(err)
		}
		e.body, x.Body.Stream, x.Body.StreamSize = body, body.Trimmed(), body.Size-warc.FinalBlock
	}
	return nil
}

// dropBodies deletes the long bodies of a committed batch. One that stays is
// swept later.
func (s *Service) dropBodies(ctx context.Context, entries []*entry) {
	for _, e := range entries {
		ref := e.rec.GetBody().GetRef()
		if ref == "" {
			continue
		}
		if err := s.spool.Delete(ctx, ref); err != nil {
			s.deps.Log.WarnContext(e.span.In(ctx), "delete a long body", "crawl_id", e.page.Crawl, "url", e.page.CanonicalURL, "err", err)
			continue
		}
		if !e.known && e.revisit == nil {
			s.m.bodies.WithLabelValues("archived").Inc()
		}
	}
}

// result makes what the frontier must know of a committed record. It is made of
// the record and of what was committed of it, so that a redelivered one has the same
// result.
func (s *Service) result(ctx context.Context, e *entry) (*crawlv1.Result, error) {
	r := resultOf(e.rec)
	stored := e
	for stored.twin != nil {
		stored = stored.twin
	}
	r.Duplicate = stored.duplicate || stored.page.DuplicateOf != 0
	if !wantsRobots(e.rec) {
		return r, nil
	}
	var err error
	if r.Robots, err = s.robots(ctx, e); err != nil {
		return nil, fmt.Errorf("robots.txt of %.200q: %w", e.page.CanonicalURL, err)
	}
	return r, nil
}

// robots returns the body of a robots.txt, from wherever it is by now.
func (s *Service) robots(ctx context.Context, e *entry) ([]byte, error) {
	switch d := e.rec.GetBody().GetData().(type) {
	case *crawlv1.Body_Deflate:
		return inflate(d.Deflate, maxRobots)
	case *crawlv1.Body_Ref:
		// The file was deleted after the commit, this one or an earlier one.
		place := e.page.Place
		if place.Segment == 0 {
			p, err := s.cat.Newest(ctx, e.page.Crawl, e.page.CanonicalURL, true)
			if err != nil {
				return nil, err
			}
			place = p.Place
		}
		body, err := s.arch.Body(ctx, place)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(body, maxRobots))
		return data, errors.Join(err, body.Close())
	}
	return nil, nil
}
