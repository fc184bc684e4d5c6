package console

import (
	"net/http"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// urlsShown is how many URLs a page lists.
const urlsShown = 100

// urlsPage is what the page about a crawl's URLs shows.
type urlsPage struct {
	Head                 crawlHead
	URLs                 []*schedulerv1.URLInfo
	State, Match, Reason string
	States               []string
	// Next is the place of the next list; empty on the last.
	Next    string
	Problem string
	// Looked: the filter left out all that was looked at so far, and more follows.
	Looked bool
}

// urlStates are the names of the states of a URL.
func urlStates() []string {
	var out []string
	for n := int32(1); ; n++ {
		name, ok := schedulerv1.URLState_name[n]
		if !ok {
			return out
		}
		out = append(out, strings.ToLower(strings.TrimPrefix(name, "URL_STATE_")))
	}
}

// stateName is the name of a state of a URL.
func stateName(s schedulerv1.URLState) string {
	if s == schedulerv1.URLState_URL_STATE_UNSPECIFIED {
		return "not known"
	}
	return strings.ToLower(strings.TrimPrefix(s.String(), "URL_STATE_"))
}

func (s *Server) urls(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "urls")
	if err != nil {
		return err
	}
	p := urlsPage{Head: head, State: r.FormValue("state"), Match: strings.TrimSpace(r.FormValue("match")), Reason: strings.TrimSpace(r.FormValue("reason")), States: urlStates()}
	req := &schedulerv1.ListURLsRequest{Crawl: c.GetId(), Match: p.Match, Reason: p.Reason, PageSize: urlsShown, PageToken: r.FormValue("after")}
	if n, ok := schedulerv1.URLState_value["URL_STATE_"+strings.ToUpper(p.State)]; ok && n != 0 {
		req.States = []schedulerv1.URLState{schedulerv1.URLState(n)}
	}
	resp, err := s.deps.Client.Crawls.ListURLs(r.Context(), req)
	switch {
	case crawl.KindOf(err) == crawl.Invalid && err != nil:
		p.Problem = sentence(err.Error())
	case err != nil:
		return err
	}
	p.URLs, p.Next = resp.GetUrls(), resp.GetNextPageToken()
	p.Looked = len(p.URLs) == 0 && p.Next != ""
	return s.render(w, r, http.StatusOK, view{Name: "urls", Title: "URLs of " + head.Name, Section: "crawls", Page: p})
}
