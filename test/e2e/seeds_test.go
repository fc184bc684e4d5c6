package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// TestStreamedSeeds hands URLs to a server through a pipe, kills the server when the
// last of them was acknowledged, and finds all of them in the ledger of the next one.
func TestStreamedSeeds(t *testing.T) {
	urls := 50_000
	if *long {
		urls = 10_000_000
	}
	ctx := driver.Limit(t, 40*time.Minute)
	s := startServer(t)
	// Nobody listens there; the crawl is paused before anybody asks.
	id, err := s.Open(ctx, driver.Job{Spec: "name: bulk\nseeds: {urls: ['http://127.0.1.1:9/']}\nscope: {nets: [127.0.0.0/8]}\n"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Weir(ctx, "pause", id); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	start := time.Now()
	go func() { w.CloseWithError(writeURLs(w, urls)) }() // ends with the pipe
	add, err := s.Begin(r, "add", id, "-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = add.Kill(); _ = r.Close() })
	server, client := watchMemory(ctx, t, s.Proc(), add)
	if code, err := add.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("weir add: exit code %d, %v\n%s", code, err, add.Tail())
	}
	took := time.Since(start)
	if err := s.Proc().Kill(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("added %d, known 0, refused 0\n", urls); add.Stdout() != want {
		t.Errorf("weir add wrote %q, want %q", add.Stdout(), want)
	}
	again := time.Now()
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d URLs in %.1f s, %.0f a second; ready again %.2f s after the kill", urls, took.Seconds(), float64(urls)/took.Seconds(), time.Since(again).Seconds())
	t.Logf("MiB held over time: server %d, client %d", server, client)
	// A queue is no goroutine: their number has nothing to do with that of the URLs.
	if n, err := s.Metric(ctx, "go_goroutines", ""); err != nil || n < 1 || n > 1000 {
		t.Errorf("%v goroutines with %d URLs queued, error %v", n, urls, err)
	}
	sum, err := s.Status(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := sum.Ledger.Balance(); err != nil {
		t.Error(err)
	}
	if want := uint64(urls) + 1; sum.Ledger.Discovered != want { // the seed too
		t.Errorf("ledger %+v; want %d discovered", sum.Ledger, want)
	}
	checkMemory(t, "server", server, 768)
	checkMemory(t, "client", client, 128)
}

// startServer starts a server that ends with the test.
func startServer(t *testing.T, more ...string) *driver.Server {
	t.Helper()
	s, err := driver.StartServer(t.Context(), *bin, t.TempDir(), more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// writeURLs writes n URLs of 10,000 hosts, one a line.
func writeURLs(w io.Writer, n int) error {
	b := bufio.NewWriterSize(w, 64<<10)
	for i := range n {
		host := i % 10_000
		if _, err := fmt.Fprintf(b, "http://127.1.%d.%d:8080/section-%02d/an-article-of-some-length-about-%08d.html\n", host/100, host%100, i%50, i); err != nil {
			return err
		}
	}
	return b.Flush()
}

// watchMemory reads what two processes hold, in MiB, until the second one ends.
func watchMemory(ctx context.Context, t *testing.T, server, client *driver.Proc) (ofServer, ofClient []int64) {
	t.Helper()
	every := 50 * time.Millisecond
	if *long {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-client.Done():
			return ofServer, ofClient
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-tick.C:
		}
		a, err := server.RSS()
		if err != nil {
			t.Fatalf("%v\n%s", err, server.Tail())
		}
		b, err := client.RSS()
		if err != nil {
			continue // it has just ended
		}
		ofServer, ofClient = append(ofServer, a>>20), append(ofClient, b>>20)
	}
}

// checkMemory: a process never holds more than so many MiB, and after the first half
// of its work little more than before.
func checkMemory(t *testing.T, name string, mib []int64, most int64) {
	t.Helper()
	var early, late int64
	for i, m := range mib {
		if i < len(mib)/2 {
			early = max(early, m)
		} else {
			late = max(late, m)
		}
	}
	if max(early, late) > most {
		t.Errorf("%s held %d MiB, at most %d allowed", name, max(early, late), most)
	}
	if *long && late > early+early/2+64 {
		t.Errorf("%s held %d MiB in the first half and %d in the second: it grows with the URLs", name, early, late)
	}
}

// TestNotBefore: a URL that is to be visited later is not visited sooner, and keeps its
// crawl from ending.
func TestNotBefore(t *testing.T) {
	t.Parallel()
	ctx := driver.Limit(t, 5*time.Minute)
	site := startSite(t, "-pages", "3", "-links", "1")
	s := startServer(t)
	root := site.Info.Seeds[0]
	id, err := s.Open(ctx, driver.Job{Spec: specFor(site, fast, "parse: {follow_links: false}")})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(3 * time.Second)
	if _, err := s.Weir(ctx, "add", id, root+"p/1", "--not-before", at.Format(time.RFC3339Nano)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Weir(ctx, "close", id); err != nil {
		t.Fatal(err)
	}
	err = driver.Await(ctx, "the visit", func() (bool, error) {
		stats, err := site.Stats(ctx)
		if err != nil || stats.Hosts[0].Requests["/p/1"] == 0 {
			return false, err
		}
		if early := time.Until(at); early > 0 {
			return false, fmt.Errorf("visited %v too soon", early)
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Weir(ctx, "wait", id); err != nil {
		t.Fatal(err)
	}
	sum, err := s.Status(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Ledger.Done != 2 || sum.Ledger.Discovered != 2 {
		t.Errorf("ledger %+v; want both URLs done", sum.Ledger)
	}
}
