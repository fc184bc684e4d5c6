package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/PuerkitoBio/goquery"
)

// Options of a loop.
type Options struct {
	// Seeds to begin with; their hosts are the scope.
	Seeds []string
	// Workers is how many pages are visited at a time.
	Workers int
	// Delay between two visits of a host, which then has one at a time. Only Colly's.
	Delay time.Duration
	// Log is the file that bodies are appended to. Empty: none. Not Colly's.
	Log string
}

// Bare crawls from the seeds with nothing but net/http and goquery, everything in
// memory, and returns the number of pages. It is the practical limit: what a
// program does that keeps no promise about anything. With a log the bodies are on the
// disk at most 20 ms after they came.
func Bare(ctx context.Context, o Options) (n int, err error) {
	b := &bare{seen: map[string]bool{}, hosts: map[string]bool{}}
	b.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers, DisableCompression: true}}
	b.more = sync.NewCond(&b.mu)
	if o.Log != "" {
		if b.log, err = newBodyLog(o.Log); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, b.log.close()) }()
	}
	for _, s := range o.Seeds {
		u, err := url.Parse(s)
		if err != nil {
			return 0, fmt.Errorf("bare loop: %w", err)
		}
		b.hosts[u.Host] = true
		b.add([]string{s})
	}
	var wg sync.WaitGroup
	for range o.Workers {
		wg.Go(func() { b.work(ctx) })
	}
	wg.Wait()
	b.client.CloseIdleConnections()
	return len(b.items), b.err
}

// bare is the state that the workers share.
type bare struct {
	client *http.Client
	log    *bodyLog // nil for none

	mu    sync.Mutex
	more  *sync.Cond
	seen  map[string]bool
	hosts map[string]bool
	queue []string
	busy  int
	items [][]byte
	err   error
}

func (b *bare) add(urls []string) {
	for _, u := range urls {
		if !b.seen[u] {
			b.seen[u] = true
			b.queue = append(b.queue, u)
		}
	}
}

func (b *bare) work(ctx context.Context) {
	for {
		b.mu.Lock()
		for len(b.queue) == 0 && b.busy > 0 && b.err == nil {
			b.more.Wait()
		}
		if len(b.queue) == 0 || b.err != nil {
			b.mu.Unlock()
			b.more.Broadcast()
			return
		}
		u := b.queue[0]
		b.queue = b.queue[1:]
		b.busy++
		b.mu.Unlock()

		item, links, err := b.visit(ctx, u)

		b.mu.Lock()
		b.busy--
		if err != nil {
			b.err = err
		} else {
			b.items = append(b.items, item)
			b.add(links)
		}
		b.mu.Unlock()
		b.more.Broadcast()
	}
}

// visit fetches a page and returns its item and its links in scope.
func (b *bare) visit(ctx context.Context, page string) ([]byte, []string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: %s", page, resp.Status)
	}
	if err := b.log.add(page, body); err != nil {
		return nil, nil, err
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	base := resp.Request.URL
	var links []string
	doc.Find("a[href]").Each(func(_ int, s *goquery.Selection) {
		href, _ := s.Attr("href")
		u, err := base.Parse(href)
		if err != nil || !b.hosts[u.Host] {
			return
		}
		u.Fragment = ""
		links = append(links, u.String())
	})
	item, err := itemOf(page, resp.StatusCode, doc.Find("title").First().Text(), len(body), len(links))
	return item, links, err
}

// itemOf is what is kept of a page.
func itemOf(page string, status int, title string, size, links int) ([]byte, error) {
	return json.Marshal(map[string]any{
		"_url": page, "status": status, "title": strings.TrimSpace(title), "bytes": size, "links": links,
	})
}
