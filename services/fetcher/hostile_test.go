package fetcher_test

import (
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/hostile"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

func startHostile(t *testing.T) *hostile.Server {
	t.Helper()
	s, err := hostile.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// onlyHostile is a fetcher that may visit the hostile site and nothing else.
func onlyHostile(t *testing.T) *fetcher.Service {
	t.Helper()
	cfg := fetcher.DefaultConfig()
	if err := cfg.AllowNets.Set(hostile.Net); err != nil {
		t.Fatal(err)
	}
	return alone(t, cfg)
}

// TestHostileClasses: each behaviour of the hostile site has its class and stays in
// its bounds, and the pages of the host between them can be had.
func TestHostileClasses(t *testing.T) {
	t.Parallel()
	const maxBody = 512 << 10
	site, s := startHostile(t), onlyHostile(t)
	for _, target := range site.Targets() {
		t.Run(strings.TrimPrefix(target.Name, "/"), func(t *testing.T) {
			t.Parallel()
			w := target.Want.For(maxBody)
			timeout := time.Minute
			if w.Slow {
				timeout = time.Second
			}
			fetch := func() *fetcherv1.FetchResponse {
				opts := &crawlv1.Fetch{Timeout: durationpb.New(timeout), MaxBody: proto.Int64(maxBody), MinSpeed: proto.Int64(0)}
				got, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: target.URL, Options: opts})
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			got := fetch()
			for w.Slow && timeout < 15*time.Second && !reached(w, got) {
				// The machine was so busy that the time was over before what is to be seen.
				timeout *= 4
				got = fetch()
			}
			f := got.GetFetch()
			if w.Class == crawl.ClassStatus429 && f.GetStatus() == 200 && site.Requests(target.Name) > 1 {
				// Its connection held what another behaviour had said too much, so that the
				// page was asked for twice; and the second answer is the page.
				w = hostile.Want{Status: 200, Size: hostile.Any}
			}
			if crawl.Class(f.GetError()) != w.Class || f.GetStatus() != uint32(w.Status) || f.GetTruncated() != w.Truncated || f.GetRedirectUrl() != w.Redirect {
				t.Errorf("got %s, status %d, truncated %v, redirect %q (%s), want %s, %d, %v, %q", crawl.Class(f.GetError()), f.GetStatus(), f.GetTruncated(),
					f.GetRedirectUrl(), f.GetErrorDetail(), w.Class, w.Status, w.Truncated, w.Redirect)
			}
			if got.GetSize() > maxBody || w.Size >= 0 && got.GetSize() != uint64(max(w.Size, int64(len(w.Body)))) {
				t.Errorf("%d bytes, want %d", got.GetSize(), w.Size)
			}
			// Far over the limit only by the time that a busy machine takes.
			if took := f.GetDuration().AsDuration(); took > timeout+10*time.Second {
				t.Errorf("took %s with a limit of %s", took, timeout)
			}
			next, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: site.Good("next")})
			if err != nil || next.GetFetch().GetStatus() != 200 || !strings.Contains(string(next.GetBody()), "/good/next") {
				t.Errorf("the next page: %v, %v", next.GetFetch(), err)
			}
		})
	}
}

// reached reports whether an exchange got as far as is wanted before its time was over.
func reached(w hostile.Want, got *fetcherv1.FetchResponse) bool {
	f := got.GetFetch()
	return crawl.Class(f.GetError()) == w.Class && f.GetStatus() == uint32(w.Status) && (w.Size != 0 || got.GetSize() >= uint64(len(w.Body)))
}

// TestBait: no notation of an address leads to where the fetcher may not go.
func TestBait(t *testing.T) {
	t.Parallel()
	s := onlyHostile(t)
	for _, b := range hostile.Baits() {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: b.URL, Options: &crawlv1.Fetch{Timeout: durationpb.New(20 * time.Second)}})
			if err != nil {
				t.Fatal(err)
			}
			if class := crawl.Class(got.GetFetch().GetError()); class != crawl.ClassAddressDenied || got.GetUrl() != b.Canonical {
				t.Errorf("%s is %s: %s (%s), want %s", b.URL, got.GetUrl(), class, got.GetFetch().GetErrorDetail(), b.Canonical)
			}
		})
	}
}

// TestHostileMemory fetches every behaviour again and again: what a process holds
// afterwards is what it held before. It is not parallel, since it counts goroutines.
func TestHostileMemory(t *testing.T) {
	site, s := startHostile(t), onlyHostile(t)
	opts := &crawlv1.Fetch{Timeout: durationpb.New(2 * time.Second), MaxBody: proto.Int64(256 << 10)}
	quick := &crawlv1.Fetch{Timeout: durationpb.New(50 * time.Millisecond), MaxBody: proto.Int64(256 << 10)}
	round := func() {
		var wg sync.WaitGroup
		for _, target := range site.Targets() {
			wg.Go(func() {
				o := opts
				if target.Want.Slow {
					o = quick
				}
				if _, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: target.URL, Options: o}); err != nil {
					t.Errorf("%s: %v", target.Name, err)
				}
			})
		}
		wg.Wait()
	}
	round() // pools fill, connections open
	before := held(t)
	start := time.Now()
	for range hostileRounds {
		round()
	}
	after := held(t)
	t.Logf("%d behaviours, %d rounds in %.1f s: heap %.1f → %.1f MiB, goroutines %d → %d, peak RSS %.0f → %.0f MiB",
		len(site.Targets()), hostileRounds, time.Since(start).Seconds(), before.heap, after.heap, before.goroutines, after.goroutines, before.peak, after.peak)
	if after.heap > before.heap+16 {
		t.Errorf("heap grew from %.1f to %.1f MiB", before.heap, after.heap)
	}
	if after.goroutines > before.goroutines+100 {
		t.Errorf("goroutines grew from %d to %d", before.goroutines, after.goroutines)
	}
	if after.peak > before.peak+256 {
		t.Errorf("peak RSS grew from %.0f to %.0f MiB", before.peak, after.peak)
	}
}

// holding is what a process holds, in MiB.
type holding struct {
	heap, peak float64
	goroutines int
}

func held(t *testing.T) holding {
	t.Helper()
	runtime.GC()
	runtime.GC() // what pools dropped in the first is free in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return holding{heap: float64(m.HeapAlloc) / (1 << 20), peak: float64(u.Maxrss) / 1024, goroutines: runtime.NumGoroutine()}
}
