package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/testkit/site"
	"github.com/weircrawl/weir/test/driver"
)

// example is one of examples/extractor as a process.
type example struct {
	command driver.Command
	proc    *driver.Proc
}

// examplePrograms builds the examples, to listen at an address each.
func examplePrograms(t *testing.T) map[string]func(addr string) driver.Command {
	t.Helper()
	root, err := driver.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "examples/extractor")
	bin := filepath.Join(t.TempDir(), "extractor")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", bin, ".")
	build.Dir = filepath.Join(folder, "go")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example in Go: %v\n%s", err, out)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("the example in JavaScript needs Node.js: run make example-tools, or install nodejs and npm")
	}
	return map[string]func(string) driver.Command{
		"go": func(addr string) driver.Command {
			return driver.Command{Path: bin, Args: []string{"-listen", addr}}
		},
		"node": func(addr string) driver.Command {
			return driver.Command{Path: node, Args: []string{filepath.Join(folder, "node/extractor.js"), addr}}
		},
	}
}

// start starts the program and waits until it listens.
func (e *example) start(t *testing.T) {
	t.Helper()
	var err error
	if e.proc, err = driver.Start(e.command); err != nil {
		t.Fatal(err)
	}
	ctx := driver.Limit(t, time.Minute)
	err = driver.Await(ctx, "the extractor", func() (bool, error) {
		if !e.proc.Running() {
			return false, fmt.Errorf("it ended\n%s", e.proc.Tail())
		}
		return accepts(ctx, e.command.Args), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// accepts reports whether somebody listens at the address that ends args.
func accepts(ctx context.Context, args []string) bool {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", args[len(args)-1])
	return err == nil && c.Close() == nil
}

// extractorSite is a site whose pages the examples read: 60 in a chain of spans that no
// link leads through, one of them poison. Its latency keeps the crawl going long enough to
// be met in the middle.
func extractorSite(t *testing.T) (*driver.Site, site.Behaviour, []string) {
	t.Helper()
	const n, poison = 60, 30
	s := startSite(t)
	routes := map[string]site.Route{"/start": {Body: `<h1>Start</h1><span data-more="/m/0"></span><span data-more="/m/1"></span><span data-more="/m/2"></span>`}}
	want := []string{strings.TrimSuffix(s.Info.Seeds[0], "/") + "/start"}
	for i := range n {
		path := fmt.Sprintf("/m/%d", i)
		body := fmt.Sprintf(`<h2>Page <b>%d</b></h2><span data-more="/m/%d"></span><span data-more="http://127.99.99.99:1/out"></span>`, i, i+3)
		if i == poison {
			body = fmt.Sprintf(`POISON <a href="/m/%d">x</a>`, i+3)
		} else if i+3 < n || i >= n-3 {
			want = append(want, strings.TrimSuffix(s.Info.Seeds[0], "/")+path)
		}
		if i >= n-3 {
			body = fmt.Sprintf("<h2>Page <b>%d</b></h2>", i)
		}
		routes[path] = site.Route{Body: body}
	}
	// What only the poison page leads to is never found.
	want = slices.DeleteFunc(want, func(u string) bool {
		var i int
		_, err := fmt.Sscanf(u[strings.LastIndexByte(u, '/')+1:], "%d", &i)
		return err == nil && i > poison && i%3 == poison%3
	})
	b := site.Behaviour{Latency: 300 * time.Millisecond, Routes: routes}
	if err := s.Set(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return s, b, want
}

// TestExampleExtractors: both examples read a site, in both modes. One is killed in the
// middle; the crawl waits, and goes on when it is back. A page that it refuses is a
// dead letter, and its URL has failed.
func TestExampleExtractors(t *testing.T) {
	t.Parallel()
	programs := examplePrograms(t)
	for name, command := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBothModes(t, func(t *testing.T, mode driver.Mode) { crawlWithExample(t, mode, command) })
		})
	}
}

// crawlWithExample crawls a site with an example that is killed in the middle.
func crawlWithExample(t *testing.T, mode driver.Mode, command func(addr string) driver.Command) {
	s, behaviour, want := extractorSite(t)
	var ports driver.Ports // also while the example is dead
	t.Cleanup(func() {
		if err := ports.Close(); err != nil {
			t.Error(err)
		}
	})
	addrs, err := ports.Take(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := addrs[0]
	e := &example{command: command(addr)}
	e.command.Name, e.command.Dir, e.command.Logs = "extractor", t.TempDir(), t.TempDir()
	e.start(t)
	defer func() {
		if err := e.proc.Kill(); err != nil {
			t.Error(err)
		}
	}()
	spec := "name: test\nseeds: {urls: [" + want[0] + "]}\npoliteness: {delay: 20ms, concurrency_per_host: 2}\n" +
		"extractor: {address: '" + addr + "', timeout: 20s}\n"
	done := make(chan driver.Result, 1)
	go func() {
		defer close(done)
		res, err := driver.Crawl(driver.Limit(t, 5*time.Minute), mode, *bin, t.TempDir(), driver.Job{Spec: spec})
		if err != nil {
			t.Error(err)
			return
		}
		done <- res
	}()
	asked := func(n int) {
		t.Helper()
		err := driver.Await(driver.Limit(t, 2*time.Minute), fmt.Sprintf("%d pages", n), func() (bool, error) {
			stats, err := s.Stats(t.Context())
			return err == nil && len(stats.Requests()) >= n, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	asked(10)
	if err := e.proc.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
		t.Fatal("the crawl ended without its extractor")
	case <-time.After(2 * time.Second): // long enough to open the breaker
	}
	behaviour.Latency = 0 // the rest need not take its time
	if err := s.Set(t.Context(), behaviour); err != nil {
		t.Fatal(err)
	}
	e.start(t)
	res, ok := <-done
	if !ok {
		t.Fatal("the crawl failed")
	}
	wantOnce(t, "items", want, driver.CountURLs(res.Items))
	for _, i := range res.Items {
		if text, _ := i["text"].(string); i["_rule"] != "heading" || i["length"] != float64(len(text)) || !strings.HasPrefix(text, "Page ") && text != "Start" {
			t.Errorf("item %v", i)
		}
	}
	l2 := res.Summary.Ledger
	if l2.Failed != 1 || l2.Done != uint64(len(want)) || res.Summary.Errors["dead_letter"] != 1 {
		t.Errorf("ledger %+v, errors %v; want %d done and the poison page failed as a dead letter", l2, res.Summary.Errors, len(want))
	}
}
