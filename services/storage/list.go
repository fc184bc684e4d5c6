package storage

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// rowsPerAnswer bounds an answer, and so how long one query holds a snapshot of the
// catalogue, which keeps SQLite's WAL from being folded in. Between two answers nothing
// is held: a client that reads slowly holds up nobody.
const rowsPerAnswer = 256

// ListPages streams the crawl log from a cursor to what is committed now.
func (s *Service) ListPages(req *storagev1.ListPagesRequest, out grpc.ServerStreamingServer[storagev1.ListPagesResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	filter, pattern, err := pageFilter(req.GetFilter())
	if err != nil {
		return err
	}
	q := catalogue.PageQuery{Crawl: req.GetCrawlId(), URL: req.GetUrl(), After: req.GetAfter(), Filter: filter}
	pass := func(p *catalogue.Page) bool { return pattern == nil || pattern.Match(p.CanonicalURL) }
	send := func(pages []*catalogue.Page) error {
		answer := &storagev1.ListPagesResponse{}
		for _, p := range pages {
			answer.Pages = append(answer.Pages, pageInfo(p))
		}
		return out.Send(answer)
	}
	if req.GetNewest() {
		return s.newestPages(out.Context(), q, req.GetLimit(), pass, send)
	}
	return s.eachPages(out.Context(), q, req.GetLimit(), pass, send)
}

// eachPages calls send for the pages of a query, up to what is committed now, that
// pass, at most limit of them (0: all).
func (s *Service) eachPages(ctx context.Context, q catalogue.PageQuery, limit uint64, pass func(*catalogue.Page) bool, send func([]*catalogue.Page) error) error {
	var err error
	if q.Last, err = s.cat.Last(ctx); err != nil {
		return err
	}
	q.Limit = rowsPerAnswer
	for left, end := limitOf(limit), q.After >= q.Last; left > 0 && !end; {
		a, err := s.cat.Pages(ctx, q)
		if err != nil {
			return err
		}
		var pages []*catalogue.Page
		for _, p := range a.Pages {
			if pass(p) && uint64(len(pages)) < left {
				pages = append(pages, p)
			}
		}
		if len(pages) > 0 {
			if err := send(pages); err != nil {
				return err
			}
		}
		left -= uint64(len(pages))
		q.After, end = a.Next, a.End
	}
	return nil
}

// ListItems streams a crawl's items from a cursor to what is committed now.
func (s *Service) ListItems(req *storagev1.ListItemsRequest, out grpc.ServerStreamingServer[storagev1.ListItemsResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	filter, err := newItemFilter(req.GetFilter())
	if err != nil {
		return err
	}
	q := catalogue.ItemQuery{Crawl: req.GetCrawlId(), Rejected: req.GetRejected(), Rule: req.GetRule(), After: req.GetAfter(), Since: filter.since, Until: filter.until}
	if q.Last, err = s.cat.Last(out.Context()); err != nil {
		return err
	}
	send := func(items []*storagev1.StoredItem, _ uint64) error {
		return out.Send(&storagev1.ListItemsResponse{Items: items})
	}
	if req.GetNewest() {
		return s.newestItems(out.Context(), q, req.GetLimit(), filter, send)
	}
	_, err = s.eachItems(out.Context(), q, req.GetLimit(), filter, send)
	return err
}

// eachItems calls send for the items of a query that pass, at most limit of them (0:
// all), with the cursor behind them, and returns where it ended.
func (s *Service) eachItems(ctx context.Context, q catalogue.ItemQuery, limit uint64, filter *itemFilter, send func([]*storagev1.StoredItem, uint64) error) (uint64, error) {
	q.Limit = rowsPerAnswer
	for left, end := limitOf(limit), q.After >= q.Last; left > 0 && !end; {
		a, err := s.cat.Items(ctx, q)
		if err != nil {
			return q.After, err
		}
		var items []*storagev1.StoredItem
		for i := range a.Items {
			if it := &a.Items[i]; filter.match(it) && uint64(len(items)) < left {
				items = append(items, &storagev1.StoredItem{Cursor: it.Cursor, Url: it.URL, Rule: it.Rule, Json: it.JSON})
			}
		}
		q.After, end = a.Next, a.End
		if len(items) > 0 {
			if err := send(items, q.After); err != nil {
				return q.After, err
			}
		}
		left -= uint64(len(items))
	}
	return q.After, nil
}

// tailEvery is how often a tail looks for what another storage has committed; what
// this one commits wakes it at once.
const tailEvery = 500 * time.Millisecond

// Tail streams a crawl's items as they are committed, until the crawl has ended.
func (s *Service) Tail(req *storagev1.TailRequest, out grpc.ServerStreamingServer[storagev1.TailResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	filter, err := newItemFilter(req.GetFilter())
	if err != nil {
		return err
	}
	ctx := out.Context()
	q := catalogue.ItemQuery{Crawl: req.GetCrawlId(), Rule: req.GetRule(), After: req.GetAfter(), Since: filter.since, Until: filter.until}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	sent := q.After
	for {
		news := s.news.wait()
		// The end first: what was committed before it is read afterwards.
		ended, err := s.ended(ctx, q.Crawl)
		if err != nil && crawl.KindOf(err) != crawl.Unavailable {
			return err
		}
		if q.Last, err = s.cat.Last(ctx); err != nil {
			return err
		}
		q.After, err = s.eachItems(ctx, q, 0, filter, func(items []*storagev1.StoredItem, cursor uint64) error {
			sent = cursor
			return out.Send(&storagev1.TailResponse{Items: items, Cursor: cursor})
		})
		if err != nil {
			return err
		}
		if ended {
			if q.After > sent {
				return out.Send(&storagev1.TailResponse{Cursor: q.After})
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.stopped:
			return crawl.Errorf(crawl.Unavailable, "storage stops: go on from the last cursor")
		case <-news:
		case <-tick.C:
		}
	}
}

// ended reports whether a crawl has ended, or is not known any more.
func (s *Service) ended(ctx context.Context, crawlID string) (bool, error) {
	state, err := s.crawls.State(ctx, crawlID)
	if crawl.KindOf(err) == crawl.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch state {
	case crawlv1.CrawlState_CRAWL_STATE_FINISHED, crawlv1.CrawlState_CRAWL_STATE_CANCELLED, crawlv1.CrawlState_CRAWL_STATE_FAILED:
		return true, nil
	}
	return false, nil
}

// GetStats counts what is stored of a crawl.
func (s *Service) GetStats(ctx context.Context, req *storagev1.GetStatsRequest) (*storagev1.GetStatsResponse, error) {
	if err := named(req.GetCrawlId()); err != nil {
		return nil, err
	}
	st, err := s.cat.Stats(ctx, req.GetCrawlId())
	if err != nil {
		return nil, err
	}
	return &storagev1.GetStatsResponse{
		Attempts: st.Attempts, Pages: st.Pages, Items: st.Items, ArchiveBytes: st.ArchiveBytes, Statuses: st.Statuses, Errors: st.Errors,
		Rules: st.Rules, Rejects: st.Rejects, Media: st.Media, Duplicates: st.Duplicates, Warnings: s.warnings(req.GetCrawlId()),
	}, nil
}

// ListMedia streams the files that a crawl's items refer to.
func (s *Service) ListMedia(req *storagev1.ListMediaRequest, out grpc.ServerStreamingServer[storagev1.ListMediaResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	q := catalogue.PageQuery{Crawl: req.GetCrawlId(), After: req.GetAfter(), Filter: catalogue.PageFilter{Kind: catalogue.KindMedia, Errors: []crawl.Class{crawl.ClassNone}}}
	return s.eachPages(out.Context(), q, req.GetLimit(), isFile, func(pages []*catalogue.Page) error {
		answer := &storagev1.ListMediaResponse{}
		for _, p := range pages {
			answer.Media = append(answer.Media, mediaInfo(p))
		}
		return out.Send(answer)
	})
}

// isFile reports whether an attempt gave a file: a redirect to one does not, and what
// has not changed was told already.
func isFile(p *catalogue.Page) bool { return p.Status/100 == 2 && len(p.SHA256) > 0 }

func mediaInfo(p *catalogue.Page) *storagev1.MediaInfo {
	return &storagev1.MediaInfo{
		Cursor: p.Cursor, Url: p.CanonicalURL, Sha256: p.SHA256, Size: p.Size, ContentType: p.ContentType,
		FetchedAt: timestamppb.New(p.FetchedAt), Truncated: p.Truncated,
	}
}

// GetMedia streams a file.
func (s *Service) GetMedia(req *storagev1.GetMediaRequest, out grpc.ServerStreamingServer[storagev1.GetMediaResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	p, err := s.media(out.Context(), req)
	if err != nil {
		return err
	}
	info := mediaInfo(p)
	body, err := s.arch.Body(out.Context(), p.Place)
	if err != nil {
		return s.space.wrap(err)
	}
	return sendBody(body, func(data []byte) error {
		m := &storagev1.GetMediaResponse{Info: info, Data: data}
		info = nil
		return out.Send(m)
	})
}

func (s *Service) media(ctx context.Context, req *storagev1.GetMediaRequest) (*catalogue.Page, error) {
	switch f := req.GetFile().(type) {
	case *storagev1.GetMediaRequest_Url:
		return s.cat.Newest(ctx, req.GetCrawlId(), f.Url, true)
	case *storagev1.GetMediaRequest_Sha256:
		return s.cat.MediaByDigest(ctx, req.GetCrawlId(), f.Sha256)
	}
	return nil, crawl.Errorf(crawl.Invalid, "file: give url or sha256")
}
