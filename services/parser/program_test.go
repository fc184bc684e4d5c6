package parser

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/vacant"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	extractorv1 "github.com/weircrawl/weir/proto/weir/extractor/v1"
)

// theProgram is a user's program that does what a test says.
type theProgram struct {
	extractorv1.UnimplementedExtractorServiceServer
	do    func(*extractorv1.ExtractRequest, grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error
	calls atomic.Int32
}

// Extract implements the service.
func (p *theProgram) Extract(r *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
	p.calls.Add(1)
	return p.do(r, s)
}

// serve runs a program until stop or the test's end.
func (p *theProgram) serve(tb testing.TB) (addr string, stop func()) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l.Addr().String(), p.serveOn(tb, l)
}

// serveOn runs a program on a listener.
func (p *theProgram) serveOn(tb testing.TB, l net.Listener) (stop func()) {
	srv := grpc.NewServer()
	extractorv1.RegisterExtractorServiceServer(srv, p)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	stop = sync.OnceFunc(func() { srv.Stop(); <-ended })
	tb.Cleanup(stop)
	return stop
}

// item and toVisit are answers of a program.
func item(json string) *extractorv1.ExtractResponse {
	return &extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Item{Item: &extractorv1.ExtractedItem{Json: []byte(json)}}}
}

func toVisit(url string) *extractorv1.ExtractResponse {
	return &extractorv1.ExtractResponse{Found: &extractorv1.ExtractResponse_Request{Request: &extractorv1.ExtractedRequest{Url: url}}}
}

// crawlWith is a crawl whose pages go to a program, which has more time than the slowest
// machine takes: the first try has half of it.
func crawlWith(address string) *crawlv1.Crawl {
	c := testCrawl()
	c.Spec.Extractor = &crawlv1.Extractor{Address: address, Timeout: durationpb.New(2 * time.Minute)}
	return c
}

// recordOf makes the record of a page.
func recordOf(t *testing.T, s *Service, c *crawlv1.Crawl, p *crawlv1.Page) (*crawlv1.ParseResult, error) {
	t.Helper()
	rec, err := s.record(t.Context(), specsOf(t, c), p)
	return rec.GetParsed(), err
}

// TestTriesCountForNothing: what came before a failure is not kept, and failures that
// may pass are tried again.
func TestTriesCountForNothing(t *testing.T) {
	t.Parallel()
	for _, code := range []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Aborted} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			p := &theProgram{}
			p.do = func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
				n := p.calls.Load()
				_ = s.Send(item(`{"try":` + string('0'+rune(n)) + `}`))
				if n < 3 {
					return status.Error(code, "not now")
				}
				return nil
			}
			addr, _ := p.serve(t)
			r, err := recordOf(t, newService(t, nil), crawlWith(addr), newPage(t, "https://site.example/p", html))
			if err != nil || len(r.GetItems()) != 1 || !strings.HasPrefix(string(r.GetItems()[0].GetJson()), `{"try":3,`) {
				t.Errorf("%v, %v; want the item of the third try alone", r.GetItems(), err)
			}
		})
	}
}

// TestRefusedPages: what the program says of a page that it cannot handle is the reason
// of its dead letter, and so is an answer that cannot be used.
func TestRefusedPages(t *testing.T) {
	t.Parallel()
	many := func(n int, r *extractorv1.ExtractResponse) []*extractorv1.ExtractResponse {
		out := make([]*extractorv1.ExtractResponse, n)
		for i := range out {
			out[i] = r
		}
		return out
	}
	ruled := item(`{}`)
	ruled.GetItem().Rule = "No Rule"
	for _, c := range []struct {
		name    string
		answers []*extractorv1.ExtractResponse
		err     error
		want    string
	}{
		{"its own error", nil, status.Error(codes.InvalidArgument, "I cannot read that"), "I cannot read that"},
		{"crash of a handler", nil, status.Error(codes.Internal, "bug"), "bug"},
		{"too large for it", nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"), "larger than max"},
		{"our names", many(1, item(`{"_url":"x"}`)), nil, `an item of rule extractor: has the field "_url"`},
		{"no object", many(1, item(`[1]`)), nil, "is not a JSON object"},
		{"no fields", many(1, item("")), nil, "an item without fields and json"},
		{"neither", many(1, &extractorv1.ExtractResponse{}), nil, "neither an item nor a request"},
		{"no rule's name", many(1, ruled), nil, `an item of rule "No Rule"`},
		{"too many items", many(maxFoundItems+1, item(`{}`)), nil, "more than 10000 items"},
		{"too many bytes", many(30, item(`{"a":"`+strings.Repeat("x", 200_000)+`"}`)), nil, "more than 4194304 bytes"},
		{"too many requests", many(maxFoundAsked+1, toVisit("/a")), nil, "more than 10000 requests"},
		{"answer too long", many(1, item(`{"a":"`+strings.Repeat("x", 2<<20)+`"}`)), nil, "larger than max"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := &theProgram{do: func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
				for _, a := range c.answers {
					if err := s.Send(a); err != nil {
						return err
					}
				}
				return c.err
			}}
			addr, _ := p.serve(t)
			_, err := recordOf(t, newService(t, nil), crawlWith(addr), newPage(t, "https://site.example/p", html))
			if crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "extractor "+addr) {
				t.Errorf("%v; want an invalid page with %q and the address", err, c.want)
			}
			if p.calls.Load() != 1 {
				t.Errorf("called %d times", p.calls.Load())
			}
		})
	}
}

// TestHangingProgram: a page that hangs is given up after its time, in which it was
// tried again, and is not put aside while others may be read.
func TestHangingProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &theProgram{do: func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
			<-s.Context().Done()
			return s.Context().Err()
		}}
		s := newService(t, nil)
		at := p.serveInside(t, s)
		c := crawlWith(at.address)
		c.Spec.Extractor.Timeout = durationpb.New(3 * time.Second)
		c.Spec.Extractor.Retries = proto.Uint32(1)
		began := time.Now()
		_, err := recordOf(t, s, c, newPage(t, "https://site.example/p", html))
		if crawl.KindOf(err) != crawl.Internal || !strings.Contains(err.Error(), "after 2 tries") {
			t.Errorf("%v; want a failure after two tries", err)
		}
		if took := time.Since(began); took != 3*time.Second || p.calls.Load() != 2 {
			t.Errorf("%v and %d calls, want 3s and 2", took, p.calls.Load())
		}
	})
}

// serveInside runs a program within a test's bubble, and has a parser know it.
func (p *theProgram) serveInside(t *testing.T, s *Service) target {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	p.serveOn(t, l)
	at := target{address: "127.0.0.1:1"} // where nobody looks
	inside, err := dial(at, usualPatience(), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	s.programs.known = map[target]*program{at: inside}
	return at
}

// TestBreakerOpens: a program that nobody answers for costs no page its tries.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	addr := vacant.Addr(t)
	s := newService(t, nil)
	for range 4 {
		_, err := recordOf(t, s, crawlWith(addr), newPage(t, "https://site.example/p", html))
		if !isAside(err) {
			t.Fatalf("%v; want the page put aside", err)
		}
	}
	if room, err := s.programs.roomFor(target{address: addr}, 64); err != nil || room > 1 {
		t.Errorf("room for %d pages, %v; want none, or one to try", room, err)
	}
}

// TestConcurrencyBound: no more pages at a time than the spec says.
func TestConcurrencyBound(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	three := make(chan struct{})
	full := sync.OnceFunc(func() { close(three) }) // three may be there again later
	p := &theProgram{do: func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == 3 {
			full()
		}
		select {
		case <-three:
		case <-s.Context().Done():
		}
		return nil
	}}
	addr, _ := p.serve(t)
	c := crawlWith(addr)
	c.Spec.Extractor.Concurrency = proto.Uint32(3)
	s := newService(t, nil)
	specs := specsOf(t, c)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := s.record(t.Context(), specs, newPage(t, "https://site.example/p", html)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || p.calls.Load() != 20 {
		t.Errorf("%d at a time, %d calls; want at most 3, 20", most.Load(), p.calls.Load())
	}
}

// TestStopCancelsCalls: a parser that stops does not count a page that it breaks off
// against the program.
func TestStopCancelsCalls(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	p := &theProgram{do: func(_ *extractorv1.ExtractRequest, s grpc.ServerStreamingServer[extractorv1.ExtractResponse]) error {
		close(began)
		<-s.Context().Done()
		return s.Context().Err()
	}}
	addr, _ := p.serve(t)
	s := newService(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	specs := specsOf(t, crawlWith(addr))
	ended := make(chan error, 1)
	go func() {
		_, err := s.record(ctx, specs, newPage(t, "https://site.example/p", html))
		ended <- err
	}()
	<-began
	cancel()
	if err := <-ended; err == nil || isAside(err) {
		t.Errorf("ended with %v", err)
	}
}

func isAside(err error) bool { return errors.Is(err, errAside) }
