package console

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func readAll(resp *http.Response) ([]byte, error) { return io.ReadAll(resp.Body) }

// stream is one open stream of events.
type stream struct {
	resp  *http.Response
	lines *bufio.Scanner
	stop  context.CancelFunc
}

// open opens a stream and reads its head.
func (b *bundle) open(t *testing.T, path string) *stream {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{resp, bufio.NewScanner(resp.Body), stop}
	s.lines.Buffer(nil, 1<<20)
	t.Cleanup(s.close)
	return s
}

func (s *stream) close() {
	s.stop()
	_ = s.resp.Body.Close()
}

// next reads the next event.
func (s *stream) next(t *testing.T) (event, data string) {
	t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			event = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && event != "":
			return event, data
		}
	}
	return "", ""
}

// TestEvents: browsers learn that there is something new, as many as there are places.
func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{}, func(c *Config) { c.Streams, c.Interval = 2, 100*time.Millisecond })
	first, second := b.open(t, "/events"), b.open(t, "/events")
	if first.resp.StatusCode != 200 || first.resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Fatalf("%d %v", first.resp.StatusCode, first.resp.Header)
	}
	for range 2 {
		if event, _ := first.next(t); event != "news" {
			t.Fatalf("event %q", event)
		}
	}
	if third := b.open(t, "/events"); third.resp.StatusCode != http.StatusTooManyRequests || third.resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d", third.resp.StatusCode)
	}
	second.close()
	deadline := time.Now().Add(30 * time.Second)
	for ok := false; !ok; {
		s := b.open(t, "/events")
		ok = s.resp.StatusCode == 200
		s.close()
		if time.Now().After(deadline) {
			t.Fatal("no place becomes free")
		}
	}
	b.console.EndStreams()
	for event := "news"; event == "news"; {
		event, _ = first.next(t)
	}
	if err := first.lines.Err(); err != nil {
		t.Errorf("the end of the console: %v", err)
	}
	if got := b.get(t, "/"); got.code != 200 {
		t.Errorf("pages after the end of streams: %d", got.code)
	}
}

// TestTail: items come as rows of the page, a fast crawl's in few events.
func TestTail(t *testing.T) {
	t.Parallel()
	s := &services{}
	for n := range 50 {
		m := &storagev1.TailResponse{Cursor: uint64(n + 43)}
		m.Items = append(m.Items, s.anItem(uint64(n+43)))
		s.tailed = append(s.tailed, m)
	}
	b := setup(t, s)
	items, count := b.open(t, "/crawls/"+crawlID+"/items/stream?after=42"), 0
	for {
		event, data := items.next(t)
		if event == "end" {
			break
		}
		var got tailed
		if err := json.Unmarshal([]byte(data), &got); event != "items" || err != nil {
			t.Fatalf("event %q: %v", event, err)
		}
		if n := strings.Count(got.HTML, "<li>"); n == 0 || n > itemsShown || !strings.Contains(got.HTML, "A thing") {
			t.Errorf("%d rows: %s", n, got.HTML)
		}
		count += got.Count
	}
	if count != 50 {
		t.Errorf("%d items, want 50", count)
	}
	// A browser that goes away ends the call to storage, and one that stays is told when
	// the console stops.
	b.services.hold, b.services.tailed = true, nil
	gone, stays := b.open(t, "/crawls/"+crawlID+"/items/stream"), b.open(t, "/crawls/"+crawlID+"/items/stream")
	gone.close()
	b.console.EndStreams()
	if event, _ := stays.next(t); event != "" {
		t.Errorf("event %q", event)
	}
}

// TestNobodyLooks: what nobody listens for costs nothing, and what is said twice is heard
// once.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	e := newEvents(1)
	e.tell()
	news, stop := e.listen()
	e.tell()
	e.tell()
	<-news
	select {
	case <-news:
		t.Error("heard twice")
	default:
	}
	stop()
	e.tell()
	if len(e.waiting) != 0 {
		t.Errorf("%d wait", len(e.waiting))
	}
}
