package storage

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// compare finds out what a visit has in common with the last one of its URL. A
// page that did not change keeps its items and its body, and the archive gets a
// revisit record; the items of one that did take the place of the earlier ones.
func (s *Service) compare(ctx context.Context, e *entry) error {
	p := e.page
	notModified := p.Status == http.StatusNotModified
	first := p.Generation <= 1 && p.Attempt <= 1 && !p.Replaces
	if first || p.Kind != catalogue.KindPage || p.Error != crawl.ClassNone || p.Status/100 != 2 && !notModified {
		return nil
	}
	prior, err := s.ledger.Prior(ctx, p.Key)
	switch {
	case err != nil || prior == nil:
		return err
	case later(prior.Key, p.Key):
		// A record that was held up: the newer visit's items are there already.
		p.ItemCount, p.Items = uint32(len(p.Items)), nil
		return nil
	case notModified:
		p.ContentType, p.Title, p.Size, p.SHA256 = prior.ContentType, prior.Title, prior.Size, prior.SHA256
		p.Truncated, p.Outlinks, p.ItemCount, p.RejectedItems = prior.Truncated, prior.Outlinks, prior.ItemCount, prior.RejectedItems
	case p.Size > 0 && len(p.SHA256) > 0 && p.Size == prior.Size && bytes.Equal(p.SHA256, prior.SHA256):
		same, err := s.sameItems(ctx, p)
		if err != nil {
			return err
		}
		if same {
			p.ItemCount, p.Items = uint32(len(p.Items)), nil
		} else {
			p.Supersedes = true // the crawl's rules have changed
		}
	default:
		p.Supersedes = true
		return nil
	}
	p.Revisit = prior.Source.ID
	s.m.revisits.Inc()
	if prior.Archived {
		e.revisit = &archive.Revisit{
			ID: recordID(&prior.Source), URL: prior.Source.CanonicalURL, At: prior.Source.FetchedAt, NotModified: notModified,
		}
	}
	return nil
}

// later reports whether a is a later attempt at the same URL than b.
func later(a, b catalogue.Key) bool {
	return a.Generation > b.Generation || a.Generation == b.Generation && a.Attempt > b.Attempt
}

// sameItems reports whether the items of a page are those that its last visit
// left, the time of the visit aside.
func (s *Service) sameItems(ctx context.Context, p *catalogue.Page) (bool, error) {
	old, err := s.ledger.PriorItems(ctx, p.Key, len(p.Items)+1)
	if err != nil || len(old) != len(p.Items) {
		return false, err
	}
	for i := range old {
		a, b := &old[i], &p.Items[i]
		if a.Rule != b.Rule || a.Index != b.Index || timeless(a.JSON) != timeless(b.JSON) {
			return false, nil
		}
	}
	return true, nil
}

// timeless returns an item without the value of its _fetched_at. A text inside the
// item cannot look like the field: its quotes are escaped.
func timeless(json []byte) string {
	const field = `"_fetched_at":"`
	before, after, found := strings.Cut(string(json), field)
	if !found {
		return before
	}
	_, after, _ = strings.Cut(after, `"`)
	return before + field + after
}
