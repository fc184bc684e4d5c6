package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// maxLine bounds a line of a file of seeds: beyond the longest URL there is
// nothing to read.
const maxLine = 64 << 10

// batchSize is how many URLs travel in a message, batchAge how long the first of
// them waits for others when they come slowly.
const (
	batchSize = 500
	batchAge  = 200 * time.Millisecond
)

// Added counts what became of seeds.
type Added struct {
	// Added URLs were new to the crawl, Known ones were not.
	Added, Known uint64
	// Refused URLs with the reasons, the first ones only; RefusedCount counts all.
	Refused      []*schedulerv1.RefusedURL
	RefusedCount uint64
}

// maxRefused bounds the refused URLs that are kept to be shown.
const maxRefused = 10

// AddFiles streams the URLs of files, one a line, to a crawl and returns when all
// are durable. Relative paths count from dir; "-" is stdin.
func (c *Client) AddFiles(ctx context.Context, name, dir string, files []string, stdin io.Reader) (Added, error) {
	var total Added
	for _, file := range files {
		added, err := c.addFile(ctx, name, dir, file, stdin)
		total.Added += added.Added
		total.Known += added.Known
		total.RefusedCount += added.RefusedCount
		total.Refused = append(total.Refused, added.Refused...)
		if err != nil {
			return total, fmt.Errorf("add the seeds of %s: %w", file, err)
		}
	}
	return total, nil
}

func (c *Client) addFile(ctx context.Context, name, dir, file string, stdin io.Reader) (Added, error) {
	if file == "-" {
		return c.AddFrom(ctx, name, stdin, Terms{})
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	f, err := os.Open(file)
	if err != nil {
		return Added{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return c.AddFrom(ctx, name, f, Terms{})
}

// Terms are what is asked for seeds besides a visit. The zero value asks nothing.
type Terms struct {
	// NotBefore keeps the seeds from being visited sooner.
	NotBefore time.Time
	// Priority of the seeds instead of that by the spec's rules.
	Priority *int32
}

// AddURLs adds URLs to a crawl and returns when they are durable.
func (c *Client) AddURLs(ctx context.Context, name string, urls []string, terms Terms) (Added, error) {
	return c.AddFrom(ctx, name, strings.NewReader(strings.Join(urls, "\n")), terms)
}

// AddFrom adds the URLs that r has, one a line; empty lines and lines that begin
// with # are passed over. It returns when all are durable. Memory does not
// depend on their number: the server's flow control paces the reading.
func (c *Client) AddFrom(ctx context.Context, name string, r io.Reader, terms Terms) (Added, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Crawls.AddURLs(ctx)
	if err != nil {
		return Added{}, err
	}
	var out Added
	done := make(chan error, 1)
	go func() { done <- out.Receive(stream) }()
	sendErr := send(stream, batch{name: name, terms: terms}, r)
	if sendErr == nil {
		sendErr = stream.CloseSend()
	} else if !errors.Is(sendErr, io.EOF) {
		cancel()
	}
	// The server's reason, if it has one, is better than "the stream is gone".
	if err := <-done; err != nil && (sendErr == nil || errors.Is(sendErr, io.EOF)) {
		return out, err
	}
	return out, sendErr
}

// Receive counts the acknowledgements of a stream until its end.
func (a *Added) Receive(stream schedulerv1.CrawlService_AddURLsClient) error {
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.Added, a.Known = resp.GetAdded(), resp.GetKnown()
		a.RefusedCount += uint64(len(resp.GetRefused()))
		room := max(maxRefused-len(a.Refused), 0)
		a.Refused = append(a.Refused, resp.GetRefused()[:min(room, len(resp.GetRefused()))]...)
	}
}

// batch is what the next message has.
type batch struct {
	name  string
	terms Terms
	urls  []string
}

func (b *batch) request() *schedulerv1.AddURLsRequest {
	req := &schedulerv1.AddURLsRequest{Crawl: b.name}
	if b.terms == (Terms{}) {
		req.Urls = b.urls
		return req
	}
	for _, u := range b.urls {
		seed := &schedulerv1.SeedURL{Url: u, Priority: b.terms.Priority}
		if !b.terms.NotBefore.IsZero() {
			seed.NotBefore = timestamppb.New(b.terms.NotBefore)
		}
		req.Seeds = append(req.Seeds, seed)
	}
	return req
}

// send reads lines and sends them in batches. A batch is also sent when its first
// URL is batchAge old and another line comes, so that a slow pipe is not held up
// by more than a line.
func send(stream schedulerv1.CrawlService_AddURLsClient, b batch, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	var first time.Time
	number := 0
	for lines.Scan() {
		number++
		url := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if url == "" || url[0] == '#' {
			continue
		}
		if len(b.urls) == 0 {
			first = time.Now()
		}
		b.urls = append(b.urls, url)
		if len(b.urls) >= batchSize || time.Since(first) >= batchAge {
			if err := stream.Send(b.request()); err != nil {
				return err
			}
			b.urls = nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return crawl.Errorf(crawl.Invalid, "line %d is over %d bytes long: the file must have one URL a line", number+1, maxLine)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return stream.Send(b.request()) // perhaps empty: it names the crawl at least
}
