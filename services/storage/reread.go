package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

const (
	// rereadAtOnce is how many pages of one call are with the parsers: enough that they
	// are never idle, few enough that a running crawl's pages get through.
	rereadAtOnce = 256
	// rereadStep is how many are sent at a time.
	rereadStep = 32
	// rereadInline is the longest compressed body inside a message, as fetchers have it.
	rereadInline = 256 << 10
	// rereadPatience is how long a page is waited for. By then its message is among the
	// dead letters, or no parser runs.
	rereadPatience = 5 * time.Minute
)

// reread stores what parsers made of stored pages. Those that another visit or reading
// has overtaken are dropped.
func (s *Service) reread(ctx context.Context, readings []*catalogue.Page) error {
	if len(readings) == 0 {
		return nil
	}
	at := make(map[catalogue.Key]int, len(readings))
	var newest []*catalogue.Page
	for _, p := range readings {
		i, ok := at[p.Key]
		switch {
		case !ok:
			at[p.Key] = len(newest)
			newest = append(newest, p)
		case p.Revision > newest[i].Revision:
			newest[i] = p
		}
	}
	kept, err := s.cat.Reread(ctx, newest)
	if err != nil {
		return err
	}
	s.m.records.WithLabelValues("reread").Add(float64(kept))
	s.m.records.WithLabelValues("outdated").Add(float64(len(readings) - kept))
	s.news.tell()
	return nil
}

// Reparse has the stored pages of a crawl read again.
func (s *Service) Reparse(req *storagev1.ReparseRequest, out grpc.ServerStreamingServer[storagev1.ReparseResponse]) error {
	ctx := out.Context()
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	pattern, err := urlPattern(req.GetUrlPattern())
	if err != nil {
		return err
	}
	c, err := s.crawls.At(ctx, req.GetCrawlId(), req.GetRevision())
	if err != nil {
		return err
	}
	if req.GetRevision() > c.Revision {
		return crawl.Errorf(crawl.Precondition, "crawl %s has revision %d, not %d", req.GetCrawlId(), c.Revision, req.GetRevision())
	}
	r := &rereading{
		s: s, open: map[uint64]openPage{}, moved: s.deps.Now(),
		pass: func(p *catalogue.Page) bool { return pattern == nil || pattern.Match(p.CanonicalURL) },
		q:    catalogue.PageQuery{Crawl: req.GetCrawlId(), Unread: c.Revision, Limit: rereadStep},
	}
	if err := r.run(ctx, out.Send); err != nil {
		return err
	}
	st, err := s.cat.Stats(ctx, req.GetCrawlId())
	if err != nil {
		return err
	}
	r.progress.Items = st.Items
	return out.Send(&r.progress)
}

// rereading is a call of Reparse. The catalogue says which pages are to be read and,
// later, which have been: a page is done when it is not among the unread any more, by
// its reading or by another visit. So the call has nothing of its own to remember.
type rereading struct {
	s        *Service
	pass     func(*catalogue.Page) bool
	q        catalogue.PageQuery // from where it goes on
	open     map[uint64]openPage // with the parsers, by the page's ID
	moved    time.Time           // when it last got on
	progress storagev1.ReparseResponse
}

// openPage is a page that a parser has.
type openPage struct {
	cursor uint64
	sent   time.Time
	ref    string // of a long body
}

// run goes over the log until nothing in it is unread, what came meanwhile included.
func (r *rereading) run(ctx context.Context, send func(*storagev1.ReparseResponse) error) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	var told time.Time
	for found, end := true, true; ; {
		news := r.s.news.wait()
		if err := r.settle(ctx); err != nil {
			return err
		}
		for !end && len(r.open) <= rereadAtOnce-rereadStep {
			n, last, err := r.next(ctx)
			if err != nil {
				return err
			}
			found, end = found || n > 0, last
		}
		if now := time.Now(); now.Sub(told) >= tailEvery {
			told = now
			if err := send(&r.progress); err != nil {
				return err
			}
		}
		if end && len(r.open) == 0 {
			if !found {
				return nil
			}
			last, err := r.s.cat.Last(ctx)
			if err != nil {
				return err
			}
			r.q.Last, r.progress.Last = last, last
			found, end = false, last <= r.q.After
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.s.stopped:
			return crawl.Errorf(crawl.Unavailable, "storage stops: call again to go on")
		case <-news:
		case <-tick.C:
		}
	}
}

// next sends the next pages of the log, and reports whether that was its end.
func (r *rereading) next(ctx context.Context) (n int, end bool, err error) {
	a, err := r.s.cat.Pages(ctx, r.q)
	if err != nil {
		return 0, false, err
	}
	var messages []bus.Message
	for _, p := range a.Pages {
		if !r.pass(p) {
			continue
		}
		n++
		m, err := r.message(ctx, p)
		if ctx.Err() != nil {
			return 0, false, context.Cause(ctx)
		}
		if k := crawl.KindOf(err); k == crawl.Unavailable {
			return 0, false, r.s.space.wrap(err)
		}
		r.progress.Sent++
		if err != nil {
			r.progress.Failed++
			r.s.deps.Log.Warn("read a stored page for the parsers", "crawl_id", p.Crawl, "url", p.CanonicalURL, "err", err)
			continue
		}
		r.open[p.ID] = openPage{cursor: p.Cursor, sent: r.s.deps.Now(), ref: m.GetBody().GetRef()}
		messages = append(messages, bus.Page(m))
	}
	if err := r.s.deps.Bus.PublishAll(ctx, messages...); err != nil {
		return 0, false, err
	}
	r.q.After, r.progress.Cursor = a.Next, a.Next
	return n, a.End, nil
}

// settle finds out which of the open pages have been read.
func (r *rereading) settle(ctx context.Context) error {
	if len(r.open) == 0 {
		return nil
	}
	unread, err := r.unread(ctx)
	if err != nil {
		return err
	}
	now := r.s.deps.Now()
	for id := range r.open {
		if !unread[id] {
			r.progress.Done++
			r.moved = now
			r.drop(ctx, id)
		}
	}
	for id, o := range r.open {
		if now.Sub(o.sent) < rereadPatience {
			continue
		}
		if now.Sub(r.moved) >= rereadPatience {
			return crawl.Errorf(crawl.Precondition, "%d pages were sent to the parsers and none came back for %s: does a parser run? Reparse again to go on", len(r.open), rereadPatience)
		}
		r.progress.Failed++
		r.drop(ctx, id)
	}
	return nil
}

// unread are the IDs of the unread pages in the part of the log where open ones are.
func (r *rereading) unread(ctx context.Context) (map[uint64]bool, error) {
	q := r.q
	q.After, q.Last, q.Limit = 1<<63-1, 0, rowsPerAnswer
	for _, o := range r.open {
		q.After, q.Last = min(q.After, o.cursor-1), max(q.Last, o.cursor)
	}
	ids := make(map[uint64]bool, len(r.open))
	for {
		a, err := r.s.cat.Pages(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, p := range a.Pages {
			ids[p.ID] = true
		}
		if q.After = a.Next; a.End || q.After >= q.Last {
			return ids, nil
		}
	}
}

// drop forgets a page. The long bodies of those that are open when the call ends are
// swept: parsers may still read them.
func (r *rereading) drop(ctx context.Context, id uint64) {
	if ref := r.open[id].ref; ref != "" {
		_ = r.s.spool.Delete(ctx, ref) // one that stays is swept
	}
	delete(r.open, id)
}

// message makes the page that a fetcher would have made.
func (r *rereading) message(ctx context.Context, p *catalogue.Page) (*crawlv1.Page, error) {
	source, err := r.s.cat.Source(ctx, p)
	if err != nil {
		return nil, err
	}
	if source.Place.Segment == 0 {
		return nil, crawl.Errorf(crawl.NotFound, "its body is not in the archive")
	}
	resp, err := r.s.arch.Response(ctx, source.Place)
	if err != nil {
		return nil, err
	}
	defer resp.Close() // read only
	m := &crawlv1.Page{
		Reparse: true,
		Ref: &crawlv1.TaskRef{
			CrawlId: p.Crawl, Revision: r.q.Unread, UrlKey: p.URL[:], Generation: p.Generation, Attempt: p.Attempt,
			Url: p.CanonicalURL, Via: p.Via, Depth: p.Depth, Kind: crawlv1.TaskKind_TASK_KIND_PAGE,
		},
		Fetch: &crawlv1.FetchResult{
			StartedAt: timestamppb.New(p.FetchedAt), Duration: durationpb.New(p.Duration), Status: uint32(resp.Status),
			Truncated: p.Truncated, Rendered: p.Rendered,
		},
	}
	for _, h := range resp.Header {
		m.Fetch.ResponseHeaders = append(m.Fetch.ResponseHeaders, &crawlv1.Header{Name: h.Name, Value: h.Value})
	}
	m.Body, err = r.body(ctx, resp, p.SHA256)
	return m, err
}

// body compresses a body as fetchers do. A long one is put where the parsers find it.
func (r *rereading) body(ctx context.Context, src io.Reader, sha256 []byte) (*crawlv1.Body, error) {
	d := newDeflater(src)
	data, err := io.ReadAll(io.LimitReader(d, rereadInline+1))
	if err != nil {
		return nil, err
	}
	b := &crawlv1.Body{Sha256: sha256}
	if len(data) <= rereadInline {
		b.Data = &crawlv1.Body_Deflate{Deflate: data}
	} else {
		ref, err := r.s.spool.Put(ctx, io.MultiReader(bytes.NewReader(data), d))
		if err != nil {
			return nil, fmt.Errorf("put its body: %w", r.s.space.wrap(err))
		}
		b.Data = &crawlv1.Body_Ref{Ref: ref}
	}
	b.Size, b.Crc32 = uint64(d.size), d.crc
	return b, nil
}
