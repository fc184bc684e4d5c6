package parser

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/testkit/vacant"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
)

// waitingCrawl is the id of a crawl whose program is down.
const waitingCrawl = "06g2r5fvt9s40mk0000000000b"

// putWaiting shares a crawl whose program is at an address.
func (r *ring) putWaiting(t *testing.T, addr string) {
	t.Helper()
	c := crawlWith(addr)
	c.Id = waitingCrawl
	if err := r.bus.PutCrawl(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// pageOf makes a page of a crawl.
func pageOf(t *testing.T, crawlID string, lease int) *crawlv1.Page {
	t.Helper()
	p := newPage(t, fmt.Sprintf("https://site.example/%d", lease), html)
	p.Ref.CrawlId, p.Ref.Lease = crawlID, uint64(lease)
	return p
}

// byCrawl counts the distinct pages that came, by crawl.
func (r *ring) byCrawl() map[string]int {
	seen := map[string]bool{}
	out := map[string]int{}
	for _, rec := range r.all() {
		if k := rec.GetRef().GetCrawlId() + rec.GetRef().GetUrl(); !seen[k] {
			seen[k] = true
			out[rec.GetRef().GetCrawlId()]++
		}
	}
	return out
}

// waitFor waits for n pages of a crawl. One that is put aside may come twice.
func (r *ring) waitFor(t *testing.T, crawlID string, n int) {
	t.Helper()
	for r.byCrawl()[crawlID] < n {
		r.wait(t, 1)
	}
}

// TestADeadProgramHoldsUpNoOtherCrawl: the pages of its crawl wait, more of them than
// parsers may have in hand, and use up no delivery; those of others go on. When it is
// there they come.
func TestADeadProgramHoldsUpNoOtherCrawl(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	down := vacant.Addr(t)
	r.putWaiting(t, down)
	r.start(t)
	const n = 600
	for i := range n {
		r.publish(t, pageOf(t, waitingCrawl, i+1))
	}
	for i := range 50 {
		r.publish(t, pageOf(t, crawlID, i+1))
	}
	r.waitFor(t, crawlID, 50)
	if got := r.byCrawl(); got[crawlID] != 50 || got[waitingCrawl] != 0 {
		t.Fatalf("records %v; want those of the crawl without a program", got)
	}
	held, err := r.bus.HeldPages(t.Context())
	if err != nil || held[waitingCrawl] < n/2 {
		t.Errorf("%v pages put aside, %v; want most of %d", held, err, n)
	}
	// The parser goes and comes, and finds what it put aside.
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	p := &theProgram{do: func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
		return s.Send(item(`{"a":1}`))
	}}
	l, err := net.Listen("tcp", down)
	if err != nil {
		t.Fatal(err)
	}
	p.serveOn(t, l)
	r.start(t)
	r.waitFor(t, waitingCrawl, n)
	dead, err := r.bus.ListDead(t.Context(), 0, 10)
	if err != nil || len(dead) != 0 {
		t.Errorf("dead letters %v, %v; want none", dead, err)
	}
}

// TestPoisonPageOfAProgram: a page that it cannot handle is a dead letter with its
// reason; a page that always fails is one after a few deliveries; others go on. Where it
// is the only one, nobody can tell the page's fault from the program's, and it is put
// aside a few times.
func TestPoisonPageOfAProgram(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	p := &theProgram{do: func(q *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
		switch {
		case strings.HasSuffix(q.GetUrl(), "/3"):
			return status.Error(codes.InvalidArgument, "page three is poison")
		case strings.HasSuffix(q.GetUrl(), "/7"):
			return status.Error(codes.Aborted, "page seven never works")
		case strings.HasSuffix(q.GetUrl(), "/11"):
			return status.Error(codes.Aborted, "page eleven never works")
		}
		return s.Send(item(`{"a":1}`))
	}}
	addr, _ := p.serve(t)
	r.service.programs.patience.First, r.service.programs.patience.Longest = 10*time.Millisecond, 20*time.Millisecond
	r.putWaiting(t, addr)
	letters := make(chan *crawlv1.DeadLetter, 10)
	background(t, r, letters)
	r.start(t)
	for i := range 10 {
		r.publish(t, pageOf(t, waitingCrawl, i+1))
	}
	r.waitFor(t, waitingCrawl, 8)
	reasons := map[string]string{}
	take := func(letters <-chan *crawlv1.DeadLetter) {
		l := <-letters
		var page crawlv1.Page
		unmarshal(t, l.GetData(), &page)
		reasons[page.GetRef().GetUrl()] = l.GetReason()
	}
	take(letters)
	take(letters)
	r.publish(t, pageOf(t, waitingCrawl, 11))
	take(letters)
	if got := reasons["https://site.example/3"]; !strings.Contains(got, "page three is poison") || !strings.Contains(got, addr) {
		t.Errorf("page 3: %q", got)
	}
	// Others that work between its tries make the fault its own.
	if got := reasons["https://site.example/7"]; !strings.Contains(got, "aside 6 times") && !strings.Contains(got, "after 3 deliveries") || !strings.Contains(got, "page seven never works") {
		t.Errorf("page 7: %q", got)
	}
	if got := reasons["https://site.example/11"]; !strings.Contains(got, "aside 6 times") || !strings.Contains(got, "page eleven never works") {
		t.Errorf("page 11: %q", got)
	}
}

// background hands the ring's dead letters to a channel until the test ends.
func background(t *testing.T, r *ring, letters chan<- *crawlv1.DeadLetter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- r.bus.DeadLetters(ctx, func(_ context.Context, l *crawlv1.DeadLetter) error {
			letters <- l
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("dead letters: %v", err)
		}
	})
}

func unmarshal(t *testing.T, data []byte, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
}
