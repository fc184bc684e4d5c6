package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const (
	// tailEvery is the time between two events with items: a fast crawl makes hundreds a
	// second, and nobody reads those.
	tailEvery = 500 * time.Millisecond
	// tailPatience is how many batches of items wait for the next event.
	tailPatience = 16
)

// tailed is an event with items.
type tailed struct {
	// HTML are rows of the list, the newest first, made by the page's own template.
	HTML string `json:"html"`
	// Count of the items since the last event; only the newest are in HTML.
	Count int `json:"count"`
}

// tail streams a crawl's items as they are committed, from a cursor on.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil {
		after = 0
	}
	// A browser that lost the stream says where it was.
	if last, err := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		after = last
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	defer cancel()
	stream, err := s.deps.Client.Storage.Tail(ctx, &storagev1.TailRequest{CrawlId: c.GetId(), After: after, Rule: r.FormValue("rule")})
	if err != nil {
		return err
	}
	out, done, err := s.openSSE(w)
	if err != nil {
		return err
	}
	defer done()
	batches, ended := make(chan *storagev1.TailResponse, tailPatience), make(chan error, 1)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	reader.Go(func() {
		ended <- client.Each(stream, func(m *storagev1.TailResponse) error {
			select {
			case batches <- m:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	s.passOn(ctx, out, r.PathValue("crawl"), batches, ended)
	return nil
}

// passOn sends what comes from storage to a browser until either has had enough.
func (s *Server) passOn(ctx context.Context, out *sse, crawlName string, batches <-chan *storagev1.TailResponse, ended <-chan error) {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	if out.beat() != nil {
		return
	}
	var rows []itemRow
	count, cursor := 0, uint64(0)
	flush := func() error {
		if count == 0 {
			return nil
		}
		html, err := s.fragment("items", "rows", itemsPage{Items: rows, Head: crawlHead{crawlRow: crawlRow{ID: crawlName}}})
		if err != nil {
			return err
		}
		data, err := json.Marshal(tailed{HTML: html, Count: count})
		if err != nil {
			return err
		}
		err = out.send("items", strings.ReplaceAll(string(data), "\n", " ")+"\nid: "+strconv.FormatUint(cursor, 10))
		rows, count = nil, 0
		return err
	}
	take := func(m *storagev1.TailResponse) {
		for _, it := range m.GetItems() {
			rows = append([]itemRow{rowOfItem(it)}, rows[:min(len(rows), itemsShown-1)]...)
		}
		count, cursor = count+len(m.GetItems()), m.GetCursor()
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.closing:
			return
		case m := <-batches:
			take(m)
		case <-tick.C:
			err = flush()
		case <-beat.C:
			err = out.beat()
		case cause := <-ended:
			for len(batches) > 0 {
				take(<-batches)
			}
			if err = flush(); err == nil && cause == nil {
				_ = out.send("end", "the crawl has ended") // it is the last word anyway
			}
			return
		}
		if err != nil {
			return
		}
	}
}
