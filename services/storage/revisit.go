package storage

import (
	"bytes"
	"context"
	"net/http"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// compare finds out what visits have in common with the last ones of their URLs.
func (s *Service) compare(ctx context.Context, entries []*entry) error {
	var again []*entry
	var keys []catalogue.Key
	for _, e := range entries {
		p := e.page
		first := p.Generation <= 1 && p.Attempt <= 1 && !p.Replaces
		if e.known || first || p.Kind == catalogue.KindRobots || p.Error != crawl.ClassNone || p.Status/100 != 2 && p.Status != http.StatusNotModified {
			continue
		}
		again, keys = append(again, e), append(keys, p.Key)
	}
	if len(again) == 0 {
		return nil
	}
	priors, err := s.cat.Priors(ctx, keys)
	if err != nil {
		return err
	}
	for i, e := range again {
		if priors[i] != nil {
			s.revisit(e, priors[i])
		}
	}
	return nil
}

// revisit compares a visit with the last one of its URL. A page that did not change
// keeps its items and its body, and the archive gets a revisit record; the items of
// one that did take the place of the earlier ones.
func (s *Service) revisit(e *entry, prior *catalogue.Prior) {
	p := e.page
	notModified := p.Status == http.StatusNotModified
	switch {
	case later(prior.Key, p.Key):
		// A record that was held up: the newer visit's items are there already.
		p.ItemCount, p.Items, p.ItemsDigest = uint32(len(p.Items)), nil, 0
		return
	case notModified:
		p.ContentType, p.Title, p.Language, p.Size, p.SHA256 = prior.ContentType, prior.Title, prior.Language, prior.Size, prior.SHA256
		p.Truncated, p.Outlinks, p.ItemCount, p.RejectedItems = prior.Truncated, prior.Outlinks, prior.ItemCount, prior.RejectedItems
		p.ItemsDigest, p.Revision = prior.ItemsDigest, prior.Revision
	case p.Size > 0 && len(p.SHA256) > 0 && p.Size == prior.Size && bytes.Equal(p.SHA256, prior.SHA256):
		if prior.ItemsDigest == p.ItemsDigest && int(prior.ItemCount) == len(p.Items) {
			p.ItemCount, p.Items = uint32(len(p.Items)), nil
		} else {
			p.Supersedes = true // the crawl's rules have changed
		}
	default:
		p.Supersedes = true
		return
	}
	// The content was compared with others when it was new.
	p.Content, p.DuplicateOf, p.NearOf, p.SimHash = nil, prior.DuplicateOf, prior.NearOf, prior.SimHash
	p.Revisit = prior.Source.ID
	s.m.revisits.Inc()
	if prior.Archived {
		e.revisit = &archive.Revisit{
			ID: recordID(&prior.Source), URL: prior.Source.CanonicalURL, At: prior.Source.FetchedAt, NotModified: notModified,
		}
	}
}

// later reports whether a is a later attempt at the same URL than b.
func later(a, b catalogue.Key) bool {
	return a.Generation > b.Generation || a.Generation == b.Generation && a.Attempt > b.Attempt
}
