package scheduler

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// lettersAtOnce is how many dead letters are read at once: they carry their messages.
const lettersAtOnce = 64

// ListDeadLetters implements schedulerv1.CrawlServiceServer. Its token is the number
// of the letter that was looked at last.
func (s *Service) ListDeadLetters(ctx context.Context, req *schedulerv1.ListDeadLettersRequest) (*schedulerv1.ListDeadLettersResponse, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	id, err := s.letterCrawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	var after uint64
	if t := req.GetPageToken(); t != "" {
		if after, err = strconv.ParseUint(t, 10, 64); err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "page_token: %q is not one that was given out", t)
		}
	}
	out := &schedulerv1.ListDeadLettersResponse{}
	size := pageSize(req.GetPageSize())
	for range maxReads {
		letters, err := s.deps.Bus.ListDead(ctx, after, lettersAtOnce)
		if err != nil {
			return nil, err
		}
		if len(letters) == 0 {
			return out, nil
		}
		for _, dl := range letters {
			after = dl.Sequence
			of, url := aboutOf(dl)
			if id != "" && of != id {
				continue
			}
			out.Letters = append(out.Letters, &schedulerv1.DeadLetterInfo{
				Id: dl.Sequence, Stream: dl.GetStream(), Reason: dl.GetReason(), At: dl.GetAt(), CrawlId: of, Url: url,
			})
			if len(out.Letters) == size {
				out.NextPageToken = strconv.FormatUint(after, 10)
				return out, nil
			}
		}
	}
	out.NextPageToken = strconv.FormatUint(after, 10)
	return out, nil
}

// aboutOf returns the crawl and URL that a letter is about, empty where it cannot be
// read or is about many URLs.
func aboutOf(dl bus.DeadLetterAt) (crawlID, url string) {
	if links := linksOf(dl); links != nil {
		return links.GetCrawlId(), ""
	}
	ref := refOf(dl.DeadLetter)
	return ref.GetCrawlId(), ref.GetUrl()
}

// linksOf returns the links between partitions that a letter is about, nil when it
// is about something else.
func linksOf(dl bus.DeadLetterAt) *crawlv1.Links {
	links := new(crawlv1.Links)
	if !bus.IsLinks(bus.Delivery{Subject: dl.GetSubject()}) || proto.Unmarshal(dl.GetData(), links) != nil {
		return nil
	}
	return links
}

// letterCrawl returns the id of the crawl that a call about dead letters names: also
// of one that is gone, whose letters may be left.
func (s *Service) letterCrawl(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	e, err := s.crawl(ctx, name)
	if crawl.KindOf(err) == crawl.NotFound {
		return name, nil
	}
	if err != nil {
		return "", err
	}
	return e.meta.GetId(), nil
}

// RetryDeadLetters implements schedulerv1.CrawlServiceServer.
func (s *Service) RetryDeadLetters(ctx context.Context, req *schedulerv1.RetryDeadLettersRequest) (*schedulerv1.RetryDeadLettersResponse, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	out := &schedulerv1.RetryDeadLettersResponse{}
	switch {
	case len(req.GetIds()) > 0 && req.GetCrawl() != "" || len(req.GetIds()) == 0 && req.GetCrawl() == "":
		return nil, crawl.Errorf(crawl.Invalid, "name dead letters by ids, or a crawl for all of its")
	case len(req.GetIds()) > maxPage:
		return nil, crawl.Errorf(crawl.Invalid, "ids: %d in one call, at most %d", len(req.GetIds()), maxPage)
	}
	for _, id := range req.GetIds() {
		letters, err := s.deps.Bus.ListDead(ctx, id-1, 1)
		if err != nil {
			return out, err
		}
		if id == 0 || len(letters) == 0 || letters[0].Sequence != id {
			return out, crawl.Errorf(crawl.NotFound, "there is no dead letter %d", id)
		}
		if err := s.retryLetter(ctx, letters[0], out); err != nil {
			return out, err
		}
	}
	if req.GetCrawl() == "" {
		return out, nil
	}
	id, err := s.letterCrawl(ctx, req.GetCrawl())
	if err != nil {
		return nil, err
	}
	return out, s.retryCrawl(ctx, id, out)
}

// retryCrawl retries the dead letters of a crawl that there are now.
func (s *Service) retryCrawl(ctx context.Context, id string, out *schedulerv1.RetryDeadLettersResponse) error {
	for after := uint64(0); ; {
		letters, err := s.deps.Bus.ListDead(ctx, after, lettersAtOnce)
		if err != nil || len(letters) == 0 {
			return err
		}
		for _, dl := range letters {
			after = dl.Sequence
			if of, _ := aboutOf(dl); of != id {
				continue
			}
			if err := s.retryLetter(ctx, dl, out); err != nil {
				return err
			}
		}
	}
}

// retryLetter puts the URL of a letter back, where it is kept, and deletes the
// letter: in this order, so that a failure between leaves both, which does no harm.
func (s *Service) retryLetter(ctx context.Context, dl bus.DeadLetterAt, out *schedulerv1.RetryDeadLettersResponse) error {
	if links := linksOf(dl); links != nil {
		// Whoever has the partition now takes them as it would have the first time.
		again := bus.Message{Subject: dl.GetSubject(), ID: fmt.Sprintf("retry-%d", dl.Sequence), Body: links}
		if err := s.deps.Bus.PublishAll(ctx, again); err != nil {
			return err
		}
		out.Retried += uint64(len(links.GetLinks()))
		return s.dropLetter(ctx, dl.Sequence)
	}
	ref := refOf(dl.DeadLetter)
	e := s.crawls.id(ref.GetCrawlId())
	u, err := weburl.FromCanonical(ref.GetUrl())
	if e == nil || err != nil || ref.GetKind() == crawlv1.TaskKind_TASK_KIND_ROBOTS {
		// robots.txt is asked for again by itself.
		out.Skipped++
		return s.dropLetter(ctx, dl.Sequence)
	}
	resp, err := route(ctx, s, func(ses *session) uint32 { return ses.partition(u) },
		&schedulerv1.RetryDeadLettersRequest{Ids: []uint64{dl.Sequence}}, schedulerv1.CrawlServiceClient.RetryDeadLetters,
		func(ctx context.Context, _ *schedulerv1.RetryDeadLettersRequest) (*schedulerv1.RetryDeadLettersResponse, error) {
			return s.retryHere(ctx, e, u, dl.Sequence)
		})
	out.Retried += resp.GetRetried()
	out.Skipped += resp.GetSkipped()
	return err
}

// retryHere retries a URL of a partition that is owned.
func (s *Service) retryHere(ctx context.Context, e *entry, u weburl.URL, letter uint64) (*schedulerv1.RetryDeadLettersResponse, error) {
	out := &schedulerv1.RetryDeadLettersResponse{}
	early := false
	err := s.do(ctx, func(l *loop, now time.Time) error {
		refs, recs := []frontier.Ref{l.f.Ref(e.no, u)}, make([]frontier.Record, 1)
		if !l.f.Owns(refs[0].Partition) {
			return errMoved
		}
		if err := l.admit(ctx, now, refs); err != nil {
			return err
		}
		if err := l.store.Lookup(ctx, refs, recs); err != nil {
			return err
		}
		if l.f.Retry(now, refs[0], recs[0]) {
			out.Retried++
			return nil
		}
		out.Skipped++
		// Its failure is still on the way: the letter stays, and may be tried again.
		early = recs[0].State == frontier.URLQueued && l.f.LeaseOf(refs[0]) != 0
		return nil
	})
	if err != nil || early {
		return out, err
	}
	return out, s.dropLetter(ctx, letter)
}

// dropLetter deletes a letter, which somebody else may just have done.
func (s *Service) dropLetter(ctx context.Context, id uint64) error {
	if err := s.deps.Bus.DeleteDead(ctx, id); crawl.KindOf(err) != crawl.NotFound {
		return err
	}
	return nil
}
