package console

import (
	"context"
	"net/http"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// attemptsShown bounds the attempts at a URL that are listed.
const attemptsShown = 50

// explainPage is what the page that explains a URL shows.
type explainPage struct {
	Crawl, URL string
	Crawls     []*crawlv1.Crawl
	Problem    string
	// Found is the answer; nil before a question.
	Found         *schedulerv1.ExplainURLResponse
	CrawlID, Name string
	State, Class  string
	Attempts      []*storagev1.PageInfo // the newest first
	Trouble       string
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	p := explainPage{Crawl: r.FormValue("crawl"), URL: strings.TrimSpace(r.FormValue("url"))}
	list, err := s.deps.Client.Crawls.ListCrawls(r.Context(), &schedulerv1.ListCrawlsRequest{PageSize: 100})
	if err != nil {
		return err
	}
	p.Crawls = list.GetCrawls()
	code := http.StatusOK
	if p.Crawl != "" && p.URL != "" {
		err := s.explained(r.Context(), &p)
		switch crawl.KindOf(err) {
		case crawl.Invalid, crawl.NotFound:
			p.Problem, code = sentence(err.Error()), http.StatusBadRequest
		default:
			if err != nil {
				return err
			}
		}
	}
	return s.render(w, r, code, view{Name: "explain", Title: "Explain a URL", Section: "explain", Page: p})
}

// explained asks what the frontier and storage know of a URL.
func (s *Server) explained(ctx context.Context, p *explainPage) error {
	c, err := s.deps.Client.Get(ctx, p.Crawl)
	if err != nil {
		return err
	}
	p.CrawlID, p.Name = c.GetId(), nameOf(c)
	// A crawl that is no longer among the newest is a choice of the form all the same.
	known := false
	for _, other := range p.Crawls {
		known = known || other.GetId() == c.GetId()
	}
	if !known {
		p.Crawls = append(p.Crawls, c)
	}
	p.Crawl = c.GetId()
	if p.Found, err = s.deps.Client.Crawls.ExplainURL(ctx, &schedulerv1.ExplainURLRequest{Crawl: c.GetId(), Url: p.URL}); err != nil {
		p.Found = nil
		return err
	}
	p.State, p.Class = stateName(p.Found.GetState()), urlClass(p.Found.GetState())
	if p.Found.GetState() == schedulerv1.URLState_URL_STATE_UNSPECIFIED {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.extraTime)
	defer cancel()
	p.Attempts, err = s.newestPages(ctx, &storagev1.ListPagesRequest{CrawlId: c.GetId(), Url: p.Found.GetCanonicalUrl(), Limit: attemptsShown})
	if err != nil {
		// What the frontier says is true without the crawl log.
		p.Trouble = "The attempts cannot be read: " + sentence(err.Error())
	}
	return nil
}

// urlClass is the colour of a URL's state.
func urlClass(s schedulerv1.URLState) string {
	switch s {
	case schedulerv1.URLState_URL_STATE_DONE:
		return "good"
	case schedulerv1.URLState_URL_STATE_FAILED:
		return "bad"
	case schedulerv1.URLState_URL_STATE_LEASED, schedulerv1.URLState_URL_STATE_QUEUED:
		return "go"
	case schedulerv1.URLState_URL_STATE_DELAYED:
		return "hold"
	default:
		return "off"
	}
}
