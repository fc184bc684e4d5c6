package console

import (
	"context"
	"net/http"
	"strings"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// action is something that can be done to a crawl.
type action struct {
	// Title of the button, and what it does, for the page that asks again.
	Title, Does string
	// Class of the button: what cannot be undone looks so.
	Class string
	do    func(ctx context.Context, c *client.Client, id string) error
	// Data: what storage keeps may be deleted too.
	Data bool
}

// actionOf returns an action by its name in the address.
func actionOf(name string, data bool) (action, error) {
	switch name {
	case "pause":
		return action{Title: "Pause", Does: "Nothing new is handed out; what is in flight is finished. It can be resumed at any time.", do: func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.Crawls.PauseCrawl(ctx, &schedulerv1.PauseCrawlRequest{Crawl: id})
			return err
		}}, nil
	case "resume":
		return action{Title: "Resume", Does: "The crawl goes on where it was.", do: func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.Crawls.ResumeCrawl(ctx, &schedulerv1.ResumeCrawlRequest{Crawl: id})
			return err
		}}, nil
	case "close":
		return action{Title: "Close", Does: "The crawl takes no more seeds and finishes when nothing is left to visit. It cannot be opened again.", do: func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.Crawls.CloseCrawl(ctx, &schedulerv1.CloseCrawlRequest{Crawl: id})
			return err
		}}, nil
	case "cancel":
		return action{Title: "Cancel", Does: "The crawl stops now. What it kept stays; what it did not visit stays queued, and it can be resumed.", Class: "danger", do: func(ctx context.Context, c *client.Client, id string) error {
			_, err := c.Crawls.CancelCrawl(ctx, &schedulerv1.CancelCrawlRequest{Crawl: id})
			return err
		}}, nil
	case "delete":
		return action{Title: "Delete", Does: "The crawl leaves the frontier with all its URLs and counters. This cannot be undone.", Class: "danger", Data: true,
			do: func(ctx context.Context, c *client.Client, id string) error { return deleteCrawl(ctx, c, id, data) }}, nil
	}
	return action{}, errNoPage
}

// deleteCrawl deletes a crawl, and what storage keeps of it where that is wanted: before
// the frontier forgets the crawl, so that a deletion that fails half way can be repeated.
// Afterwards nobody knows its id.
func deleteCrawl(ctx context.Context, c *client.Client, id string, data bool) error {
	found, err := c.Get(ctx, id)
	if err != nil {
		return err
	}
	id = found.GetId()
	if found.GetEndedAt() == nil {
		return crawl.Errorf(crawl.Precondition, "the crawl %s has not ended: cancel it first", nameOf(found))
	}
	if data {
		if _, err := c.Storage.DeleteCrawl(ctx, &storagev1.DeleteCrawlRequest{CrawlId: id}); err != nil && crawl.KindOf(err) != crawl.NotFound {
			return err
		}
	}
	_, err = c.Crawls.DeleteCrawl(ctx, &schedulerv1.DeleteCrawlRequest{Crawl: id})
	return err
}

// confirmPage asks again.
type confirmPage struct {
	Head   crawlHead
	Action action
	Name   string
}

// confirm asks whether an action is really meant; it changes nothing.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("action")
	a, err := actionOf(name, false)
	if err != nil {
		return err
	}
	_, head, err := s.headOf(r, "")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, view{Name: "confirm", Title: a.Title + " " + head.Name, Section: "crawls", Page: confirmPage{head, a, name}})
}

// act does it and leads back to the crawl.
func (s *Server) act(w http.ResponseWriter, r *http.Request) error {
	name, id := r.PathValue("action"), r.PathValue("crawl")
	a, err := actionOf(name, r.PostFormValue("data") != "")
	if err != nil {
		return err
	}
	if err := a.do(r.Context(), s.deps.Client, id); err != nil {
		return err
	}
	to := "/crawls/" + id + "?done=" + name
	if name == "delete" {
		to = "/?done=deleted"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// addedPage says what became of URLs.
type addedPage struct {
	Head    crawlHead
	Added   client.Added
	Problem string
}

// addURLs adds seeds to a crawl, one a line.
func (s *Server) addURLs(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	lines := r.PostFormValue("urls")
	if strings.TrimSpace(lines) == "" {
		return crawl.Errorf(crawl.Invalid, "there is no URL: write one in each line")
	}
	added, err := s.deps.Client.AddFrom(r.Context(), c.GetId(), strings.NewReader(lines), client.Terms{})
	if err != nil {
		return err
	}
	_, head, err := s.headOf(r, "urls")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, view{Name: "added", Title: "URLs added to " + head.Name, Section: "crawls", Page: addedPage{Head: head, Added: added}})
}
