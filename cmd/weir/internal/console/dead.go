package console

import (
	"net/http"
	"strconv"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// lettersShown is how many dead letters a page lists.
const lettersShown = 100

// deadPage is what the page about dead letters shows.
type deadPage struct {
	Letters []*schedulerv1.DeadLetterInfo
	Crawl   string
	Next    string
	// Retried and Skipped say what became of those that were chosen, with Done.
	Done             bool
	Retried, Skipped uint64
}

func (s *Server) dead(w http.ResponseWriter, r *http.Request) error {
	return s.deadList(w, r, deadPage{Crawl: r.FormValue("crawl")})
}

func (s *Server) deadList(w http.ResponseWriter, r *http.Request, p deadPage) error {
	resp, err := s.deps.Client.Crawls.ListDeadLetters(r.Context(), &schedulerv1.ListDeadLettersRequest{
		Crawl: p.Crawl, PageSize: lettersShown, PageToken: r.URL.Query().Get("after"),
	})
	if err != nil {
		return err
	}
	p.Letters, p.Next = resp.GetLetters(), resp.GetNextPageToken()
	return s.render(w, r, http.StatusOK, view{Name: "dead", Title: "Dead letters", Section: "dead", Page: p})
}

// retryDead puts the URLs of the letters that were chosen, or of all of a crawl, back
// into their queues.
func (s *Server) retryDead(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	req, of := &schedulerv1.RetryDeadLettersRequest{}, r.PostFormValue("crawl")
	if r.PostFormValue("all") != "" {
		req.Crawl = of
	} else {
		for _, text := range r.PostForm["id"] {
			id, err := strconv.ParseUint(text, 10, 64)
			if err != nil || id == 0 {
				return crawl.Errorf(crawl.Invalid, "%q is not the number of a dead letter", cut(text, 40))
			}
			req.Ids = append(req.Ids, id)
		}
		if len(req.Ids) == 0 {
			return crawl.Errorf(crawl.Invalid, "no dead letter was chosen: tick some of them")
		}
	}
	resp, err := s.deps.Client.Crawls.RetryDeadLetters(r.Context(), req)
	if err != nil {
		return err
	}
	return s.deadList(w, r, deadPage{Crawl: of, Done: true, Retried: resp.GetRetried(), Skipped: resp.GetSkipped()})
}
