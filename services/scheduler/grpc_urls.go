package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// urlsAtOnce is how many URLs are read from the store at once.
const urlsAtOnce = 512

// urlFilter says which URLs a list is to have.
type urlFilter struct {
	states []frontier.URLState
	match  *crawl.Pattern
	reason string
}

func urlFilterFrom(req *schedulerv1.ListURLsRequest) (f urlFilter, err error) {
	for _, st := range req.GetStates() {
		if st < schedulerv1.URLState_URL_STATE_QUEUED || st > schedulerv1.URLState_URL_STATE_DROPPED {
			return f, crawl.Errorf(crawl.Invalid, "states: %d is no state of a URL that a crawl knows", st)
		}
		f.states = append(f.states, frontier.URLState(st))
	}
	if m := req.GetMatch(); m != "" {
		if f.match, err = crawl.CompilePattern(m); err != nil {
			return f, crawl.Errorf(crawl.Invalid, "match: %w", err)
		}
	}
	f.reason = req.GetReason()
	return f, nil
}

// accepts reports whether a URL is to be listed.
func (f *urlFilter) accepts(r *frontier.Record) bool {
	if len(f.states) > 0 && !slices.Contains(f.states, r.State) {
		return false
	}
	if f.reason != "" && r.Reason != f.reason && (r.Class == crawl.ClassNone || r.Class.String() != f.reason) {
		return false
	}
	return f.match == nil || f.match.Match(r.URL)
}

// ListURLs implements schedulerv1.CrawlServiceServer. Its token is the URL that was
// looked at last; partitions of other replicas are read there, since only the owner
// knows what is handed out.
func (s *Service) ListURLs(ctx context.Context, req *schedulerv1.ListURLsRequest) (*schedulerv1.ListURLsResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	filter, err := urlFilterFrom(req)
	if err != nil {
		return nil, err
	}
	p, err := parsePlace(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &schedulerv1.ListURLsResponse{}
	size := pageSize(req.GetPageSize())
	out.NextPageToken, err = s.pages(ctx, p, func(ctx context.Context, at place) (string, int, error) {
		part, err := s.urlsIn(ctx, e, &filter, at, &schedulerv1.ListURLsRequest{
			Crawl: req.GetCrawl(), States: req.GetStates(), Match: req.GetMatch(), Reason: req.GetReason(),
			PageSize: uint32(size - len(out.Urls)), PageToken: at.String(),
		})
		out.Urls = append(out.Urls, part.GetUrls()...)
		return part.GetNextPageToken(), size - len(out.Urls), err
	})
	return out, err
}

// urlsIn reads URLs of one partition, here or at the replica that owns it.
func (s *Service) urlsIn(ctx context.Context, e *entry, f *urlFilter, at place, req *schedulerv1.ListURLsRequest) (*schedulerv1.ListURLsResponse, error) {
	return route(ctx, s, func(*session) uint32 { return at.partition }, req, schedulerv1.CrawlServiceClient.ListURLs,
		func(ctx context.Context, req *schedulerv1.ListURLsRequest) (*schedulerv1.ListURLsResponse, error) {
			return s.urlsHere(ctx, e, f, at, int(req.GetPageSize()))
		})
}

// urlsHere reads URLs of a partition that is owned.
func (s *Service) urlsHere(ctx context.Context, e *entry, f *urlFilter, at place, size int) (*schedulerv1.ListURLsResponse, error) {
	out := &schedulerv1.ListURLsResponse{}
	for range maxReads {
		var rows []frontier.URLRow
		after := frontier.Ref{Crawl: e.no, Partition: at.partition, Host: at.host, Key: at.key}
		err := s.askStore(func(st frontier.Store) (err error) {
			rows, err = st.Scan(ctx, after, urlsAtOnce)
			return err
		})
		if err != nil {
			return nil, err
		}
		more := len(rows) == urlsAtOnce
		if i := slices.IndexFunc(rows, func(r frontier.URLRow) bool { return r.Ref.Partition != at.partition }); i >= 0 {
			rows, more = rows[:i], false
		}
		err = s.read(ctx, func(l *loop, _ time.Time) error {
			if !l.f.Owns(at.partition) {
				return errMoved
			}
			for i := range rows {
				if r := &rows[i]; r.Record.State == frontier.URLQueued && l.f.LeaseOf(r.Ref) != 0 {
					r.Record.State = frontier.URLLeased
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for i := range rows {
			r := &rows[i]
			at.host, at.key = r.Ref.Host, r.Ref.Key
			if !f.accepts(&r.Record) {
				continue
			}
			if out.Urls = append(out.Urls, urlToProto(&r.Record)); len(out.Urls) == size {
				out.NextPageToken = at.String()
				return out, nil
			}
		}
		if !more {
			return out, nil
		}
	}
	out.NextPageToken = at.String()
	return out, nil
}

func urlToProto(r *frontier.Record) *schedulerv1.URLInfo {
	return &schedulerv1.URLInfo{
		Url:        r.URL,
		State:      schedulerv1.URLState(r.State),
		Reason:     r.Reason,
		Depth:      uint32(r.Depth),
		Priority:   r.Priority,
		Attempts:   uint32(r.Attempts),
		Status:     uint32(r.Status),
		Error:      crawlv1.ErrorClass(r.Class),
		FetchedAt:  timestamp(r.FetchedAt),
		NotBefore:  timestamp(r.NotBefore),
		Generation: r.Generation,
	}
}
