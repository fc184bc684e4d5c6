package scheduler

import (
	"context"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// up returns an error unless calls can be served.
func (s *Service) up() error {
	_, err := s.current()
	return err
}

// crawl finds the crawl that a call names.
func (s *Service) crawl(ctx context.Context, name string) (*entry, error) {
	ses, err := s.current()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, crawl.Errorf(crawl.Invalid, "crawl: the id or name of a crawl is missing")
	}
	e, err := s.crawls.find(name)
	if crawl.KindOf(err) == crawl.NotFound && s.shared {
		// Another replica may have created it a moment ago.
		if found, aerr := ses.await(ctx, name); aerr != nil || found != nil {
			return found, aerr
		}
	}
	return e, err
}

// view returns a crawl as it is now.
func (s *Service) view(ctx context.Context, e *entry) (*crawlv1.Crawl, error) {
	out, err := s.views(ctx, []*entry{e})
	if err == nil && len(out) == 0 {
		err = crawl.Errorf(crawl.NotFound, "crawl %s is gone", e.meta.GetId())
	}
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// views returns crawls as they are now, without those that are gone. What other
// replicas did is in the store.
func (s *Service) views(ctx context.Context, entries []*entry) ([]*crawlv1.Crawl, error) {
	out := make([]*crawlv1.Crawl, 0, len(entries))
	var nos []frontier.CrawlNo
	err := s.read(ctx, func(l *loop, _ time.Time) error {
		for _, e := range entries {
			if c, stats, ok := l.f.Crawl(e.no); ok {
				out, nos = append(out, e.view(c, stats)), append(nos, e.no)
			}
		}
		return nil
	})
	if err != nil || !s.shared || len(nos) == 0 {
		return out, err
	}
	var totals []frontier.Totals
	err = s.askStore(func(st frontier.Store) (err error) {
		totals, err = st.Totals(ctx, nos)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range totals {
		out[i].Stats = statsToProto(totals[i].Sum())
	}
	return out, nil
}

// CreateCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) CreateCrawl(ctx context.Context, req *schedulerv1.CreateCrawlRequest) (*schedulerv1.CreateCrawlResponse, error) {
	if len(req.GetRequestId()) > 64 {
		return nil, crawl.Errorf(crawl.Invalid, "request_id: %d bytes long, at most 64", len(req.GetRequestId()))
	}
	if err := spec.Validate(req.GetSpec()); err != nil {
		return nil, err
	}
	ses, err := s.current()
	if err != nil {
		return nil, err
	}
	// At home here, if anything is owned here; elsewhere otherwise.
	id, err := ses.newCrawlID()
	if err != nil {
		return nil, err
	}
	if owner, err := ses.owner(ses.home(id)); req.GetRequestId() == "" && (owner != nil || err != nil) {
		// It may have to be passed on more than once, and is to make one crawl.
		req = proto.CloneOf(req)
		req.RequestId = id
	}
	// The same request has the same id for ever, whoever asks, however often.
	var no frontier.CrawlNo
	err = s.askStore(func(st frontier.Store) (err error) {
		no, id, err = st.NextCrawl(ctx, req.GetRequestId(), id)
		return err
	})
	if err != nil {
		return nil, err
	}
	home := func(ses *session) uint32 { return ses.home(id) }
	return route(ctx, s, home, req, schedulerv1.CrawlServiceClient.CreateCrawl,
		func(ctx context.Context, req *schedulerv1.CreateCrawlRequest) (*schedulerv1.CreateCrawlResponse, error) {
			return s.createCrawl(ctx, req, no, id)
		})
}

// createCrawl creates a crawl that is at home here, unless it is there already.
func (s *Service) createCrawl(ctx context.Context, req *schedulerv1.CreateCrawlRequest, no frontier.CrawlNo, id string) (*schedulerv1.CreateCrawlResponse, error) {
	draft, seeds, err := s.draft(ctx, req, no, id)
	if err != nil {
		return nil, err
	}
	made := draft
	err = s.do(ctx, func(l *loop, now time.Time) error {
		if e := s.crawls.number(no); e != nil {
			made = e
			return nil
		}
		c, err := draft.core(l.partitions, frontier.Running)
		if err != nil {
			return err
		}
		if !l.f.Owns(c.Home) {
			return errMoved
		}
		if err := s.admit(ctx, l, now, false); err != nil {
			return err
		}
		l.f.PutCrawl(now, c)
		// A caller who has gone away must not leave a crawl without its seeds.
		if _, err := l.add(context.WithoutCancel(ctx), now, draft, seeds); err != nil {
			return err
		}
		if req.GetClose() { // not before: an empty crawl would be over at once
			if err := l.f.SetState(now, no, frontier.Closing, ""); err != nil {
				return err
			}
		}
		l.touched = append(l.touched, no)
		s.crawls.put(draft)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if ses, err := s.current(); err == nil && s.shared {
		// Whoever asks another replica next must find it; if not at once, then soon.
		if err := ses.announceCrawl(ctx, no); err != nil {
			s.deps.Log.Warn("announce crawl", "crawl_no", no, "err", err)
		}
	}
	c, err := s.view(ctx, made)
	if err != nil {
		return nil, err
	}
	s.deps.Log.Info("created crawl", "crawl_id", c.GetId(), "name", c.GetSpec().GetName(), "seeds", len(seeds))
	return &schedulerv1.CreateCrawlResponse{Crawl: c}, nil
}

// draft makes a crawl of a request: its id, its scope by its seeds, its seeds.
// The other services learn of it here, before any task of it exists; a draft
// that never becomes a crawl does no harm there.
func (s *Service) draft(ctx context.Context, req *schedulerv1.CreateCrawlRequest, no frontier.CrawlNo, id string) (*entry, []weburl.URL, error) {
	now := s.deps.Now()
	meta := &crawlv1.Crawl{
		Id:        id,
		Spec:      req.GetSpec(),
		Revision:  1,
		CreatedAt: timestamp(now),
		RequestId: req.GetRequestId(),
		Number:    uint32(no),
		Owner:     access.From(ctx).Owner(),
	}
	e, err := newEntry(no, meta)
	if err != nil {
		return nil, nil, err
	}
	seeds, err := e.spec.Seeds()
	if err != nil {
		return nil, nil, err
	}
	hosts := make([]string, 0, len(seeds))
	for _, u := range seeds {
		hosts = append(hosts, u.HostPort())
	}
	if meta.GetSpec().GetName() == "" && len(seeds) > 0 {
		meta.Spec.Name = defaultName(seeds[0].Host())
	}
	if e, err = e.seedHosts(hosts); err != nil {
		return nil, nil, err
	}
	for i, u := range seeds {
		if v := e.spec.Scope.Judge(u, 0); !v.Accept {
			return nil, nil, crawl.Errorf(crawl.Invalid,
				"%s: %s is out of the crawl's own scope (%s %s)", spec.SeedPath(req.GetSpec(), i), u, v.Reason, v.Rule)
		}
	}
	if s.crawls.number(no) != nil {
		return e, seeds, nil // the request came before
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	return e, seeds, s.deps.Bus.PutCrawl(ctx, e.meta)
}

// announceTime bounds the wait for the KV.
const announceTime = 10 * time.Second

// newCrawlID returns 26 characters of [0-9a-v], ordered by time.
func newCrawlID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", crawl.Errorf(crawl.Unavailable, "make a crawl id: %w", err)
	}
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(id[:])), nil
}

// newCrawlID returns an id whose home partition is owned here, if any is.
func (s *session) newCrawlID() (string, error) {
	for range maxIDTries {
		id, err := newCrawlID()
		if err != nil || s.tenure == nil || s.held[s.home(id)].Load() != nil {
			return id, err
		}
	}
	return newCrawlID()
}

// maxIDTries finds a partition of this replica's among 4096 nearly always, when it
// has its share of them and there are not more than a hundred replicas.
const maxIDTries = 1000

// GetCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) GetCrawl(ctx context.Context, req *schedulerv1.GetCrawlRequest) (*schedulerv1.GetCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	c, err := s.view(ctx, e)
	return &schedulerv1.GetCrawlResponse{Crawl: c}, err
}

// ListCrawls implements schedulerv1.CrawlServiceServer.
func (s *Service) ListCrawls(ctx context.Context, req *schedulerv1.ListCrawlsRequest) (*schedulerv1.ListCrawlsResponse, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	const most = 1000
	size := int(req.GetPageSize())
	if size == 0 || size > most {
		size = most
	}
	before := uint64(0)
	if t := req.GetPageToken(); t != "" {
		var err error
		if before, err = strconv.ParseUint(t, 10, 32); err != nil || before == 0 {
			return nil, crawl.Errorf(crawl.Invalid, "page_token: %q is not one that was given out", t)
		}
	}
	entries := s.crawls.newestFirst(frontier.CrawlNo(before), size)
	crawls, err := s.views(ctx, entries)
	out := &schedulerv1.ListCrawlsResponse{Crawls: crawls}
	if len(entries) == size && entries[size-1].no > 1 {
		out.NextPageToken = strconv.FormatUint(uint64(entries[size-1].no), 10)
	}
	return out, err
}

// setState changes the state of a crawl that is at home here and returns it after
// the change.
func (s *Service) setState(ctx context.Context, e *entry, state frontier.State, reason string) (*crawlv1.Crawl, error) {
	err := s.do(ctx, func(l *loop, now time.Time) error {
		if err := l.homeHere(e); err != nil {
			return err
		}
		if c, _, _ := l.f.Crawl(e.no); c.State.Final() && state == frontier.Running {
			if err := s.admit(ctx, l, now, true); err != nil {
				return err
			}
		}
		if err := l.f.SetState(now, e.no, state, reason); err != nil {
			return err
		}
		l.touched = append(l.touched, e.no)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.deps.Log.Info("changed crawl", "crawl_id", e.meta.GetId(), "state", state.String())
	return s.view(ctx, e)
}

// PauseCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) PauseCrawl(ctx context.Context, req *schedulerv1.PauseCrawlRequest) (*schedulerv1.PauseCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), req, schedulerv1.CrawlServiceClient.PauseCrawl,
		func(ctx context.Context, _ *schedulerv1.PauseCrawlRequest) (*schedulerv1.PauseCrawlResponse, error) {
			c, err := s.setState(ctx, e, frontier.Paused, "")
			return &schedulerv1.PauseCrawlResponse{Crawl: c}, err
		})
}

// ResumeCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) ResumeCrawl(ctx context.Context, req *schedulerv1.ResumeCrawlRequest) (*schedulerv1.ResumeCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), req, schedulerv1.CrawlServiceClient.ResumeCrawl,
		func(ctx context.Context, _ *schedulerv1.ResumeCrawlRequest) (*schedulerv1.ResumeCrawlResponse, error) {
			s.lifecycle.Lock()
			defer s.lifecycle.Unlock()
			c, err := s.setState(ctx, e, frontier.Running, "")
			return &schedulerv1.ResumeCrawlResponse{Crawl: c}, err
		})
}

// CloseCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) CloseCrawl(ctx context.Context, req *schedulerv1.CloseCrawlRequest) (*schedulerv1.CloseCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), req, schedulerv1.CrawlServiceClient.CloseCrawl,
		func(ctx context.Context, _ *schedulerv1.CloseCrawlRequest) (*schedulerv1.CloseCrawlResponse, error) {
			c, err := s.setState(ctx, e, frontier.Closing, "")
			return &schedulerv1.CloseCrawlResponse{Crawl: c}, err
		})
}

// CancelCrawl implements schedulerv1.CrawlServiceServer.
func (s *Service) CancelCrawl(ctx context.Context, req *schedulerv1.CancelCrawlRequest) (*schedulerv1.CancelCrawlResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, atHome(e), req, schedulerv1.CrawlServiceClient.CancelCrawl,
		func(ctx context.Context, _ *schedulerv1.CancelCrawlRequest) (*schedulerv1.CancelCrawlResponse, error) {
			return s.cancelCrawl(ctx, e)
		})
}

func (s *Service) cancelCrawl(ctx context.Context, e *entry) (*schedulerv1.CancelCrawlResponse, error) {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	c, err := s.setState(ctx, e, frontier.Cancelled, "cancelled")
	if err != nil {
		return nil, err
	}
	ses, err := s.current()
	if err != nil {
		return nil, err
	}
	// Tasks that a fetcher already took are finished; their results still count.
	return &schedulerv1.CancelCrawlResponse{Crawl: c}, ses.releaseCancelled(ctx, e)
}

// ExplainURL implements schedulerv1.CrawlServiceServer.
func (s *Service) ExplainURL(ctx context.Context, req *schedulerv1.ExplainURLRequest) (*schedulerv1.ExplainURLResponse, error) {
	e, err := s.crawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	u, err := e.spec.Canon.Parse(req.GetUrl())
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "url: %q: %w", weburl.Shown(req.GetUrl()), err)
	}
	// One with a request is asked for as it is shown; a page's fragment is dropped.
	if asked, err := weburl.FromCanonical(req.GetUrl()); err == nil {
		if _, more := asked.Request(); more {
			u = asked
		}
	}
	return route(ctx, s, func(ses *session) uint32 { return ses.partition(u) }, req, schedulerv1.CrawlServiceClient.ExplainURL,
		func(ctx context.Context, _ *schedulerv1.ExplainURLRequest) (*schedulerv1.ExplainURLResponse, error) {
			return s.explain(ctx, e, u)
		})
}

// explain explains a URL whose partition is owned here.
func (s *Service) explain(ctx context.Context, e *entry, u weburl.URL) (*schedulerv1.ExplainURLResponse, error) {
	var out *schedulerv1.ExplainURLResponse
	err := s.read(ctx, func(l *loop, now time.Time) error {
		refs, recs := []frontier.Ref{l.f.Ref(e.no, u)}, make([]frontier.Record, 1)
		if !l.f.Owns(refs[0].Partition) {
			return errMoved
		}
		if err := l.store.Lookup(ctx, refs, recs); err != nil {
			return err
		}
		out = explainToProto(l.f.Explain(now, e.no, u, recs[0]))
		out.Partition = refs[0].Partition
		var err error
		if out.Host, err = l.host(ctx, now, e.no, u); crawl.KindOf(err) == crawl.NotFound {
			err = nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.CanonicalUrl, out.Replica = u.String(), s.cfg.Replica
	// The depth of a URL that the crawl does not know is that of a seed.
	v := e.spec.Scope.Judge(u, int(out.GetDepth()))
	out.InScope, out.ScopeRule = v.Accept, scopeRule(v)
	return out, nil
}

// scopeRule says what decided about a URL's scope.
func scopeRule(v crawl.Verdict) string {
	switch {
	case v.Rule != "":
		return v.Rule
	case v.Accept:
		return "host in scope, no rule matches"
	default:
		return string(v.Reason)
	}
}
