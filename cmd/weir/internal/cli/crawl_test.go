package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/warc"
)

func parse(t *testing.T, r result) summary.Summary {
	t.Helper()
	var s summary.Summary
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatalf("%v: exit code %d\n%s%s", err, r.code, r.stdout, r.stderr)
	}
	return s
}

func balanced(l summary.Ledger) bool {
	sum := l.Queued + l.Leased + l.Delayed + l.Done + l.Failed
	for _, n := range l.Dropped {
		sum += n
	}
	return sum == l.Discovered
}

// pagesIn counts the responses in a WARC file, those with robots.txt left out.
func pagesIn(t *testing.T, path string) (n uint64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := warc.NewReader(f)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Type() == warc.Response && !strings.Contains(e.Get("WARC-Target-URI"), "robots.txt") {
			n++
		}
	}
}

// TestCrawl: a crawl, what is refused after it, and exporting again.
func TestCrawl(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 40), t.TempDir()
	items := filepath.Join(dir, "items.jsonl")
	args := crawlArgs(dir, append(eager(), site.seed(), "--set", "name=tree")...)

	got := weir(t, append(args, "-o", items, "--json")...)
	s := parse(t, got)
	if got.code != 0 || got.stderr != "" {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	if s.State != "finished" || s.Name != "tree" || s.Pages != 40 || s.Items != 40 || s.Statuses["200"] != 40 || !balanced(s.Ledger) || s.Ledger.Done != 40 {
		t.Errorf("summary %+v", s)
	}
	if s.DataDir != filepath.Join(dir, "data") || s.Output != items || s.DurationSeconds <= 0 {
		t.Errorf("summary %+v", s)
	}
	rows := lines(t, items)
	slices.Sort(rows)
	if len(slices.Compact(rows)) != 40 {
		t.Errorf("%d items", len(rows))
	}

	again := weir(t, args...)
	if want := fmt.Sprintf("weir: crawl \"tree\" in %s is finished: export its items again with --resume, or crawl anew with another --data\n", s.DataDir); again.code != 2 || again.stderr != want {
		t.Errorf("again: exit code %d, %s", again.code, again.stderr)
	}
	other := weir(t, append(args, "--resume", "--set", "limits.pages=7")...)
	if other.code != 2 || !strings.Contains(other.stderr, "has another spec: limits differs") || other.stdout != "" {
		t.Errorf("another spec: exit code %d, %s%s", other.code, other.stdout, other.stderr)
	}
	csv := filepath.Join(dir, "items.csv")
	warcFile := filepath.Join(dir, "pages.warc.gz")
	export := weir(t, crawlArgs(dir, "--resume", "-o", csv, "-o", warcFile)...)
	if export.code != 0 || len(lines(t, csv)) != 41 || pagesIn(t, warcFile) != s.Ledger.Discovered || !strings.HasPrefix(export.stdout, "tree finished after ") {
		t.Errorf("export: exit code %d, %s%s", export.code, export.stdout, export.stderr)
	}
	if n := site.again(); n != 0 {
		t.Errorf("%d pages were fetched again", n)
	}
}

// TestStream: items come on stdout, the summary on stderr.
func TestStream(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 20), t.TempDir()
	got := weir(t, crawlArgs(dir, append(eager(), site.seed(), "-o", "-")...)...)
	if got.code != 0 || strings.Count(got.stdout, "\n") != 20 || !strings.Contains(got.stderr, "finished after") {
		t.Errorf("exit code %d, %d lines, %s", got.code, strings.Count(got.stdout, "\n"), got.stderr)
	}
}

// TestSpecWithFiles: seed files count from the spec's folder, a limit is an end.
func TestSpecWithFiles(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 40), t.TempDir()
	write(t, dir, "seeds.txt", "# two leaves and nonsense\n"+site.URL+"/p/30\n\n"+site.URL+"/p/31\nnot a url\n")
	file := write(t, dir, "spec.yaml", "name: leaves\nseeds: {files: [seeds.txt]}\nlimits: {pages: 2}\n")
	got := weir(t, crawlArgs(dir, append(eager(), file, "--json")...)...)
	s := parse(t, got)
	if got.code != 0 || s.Pages != 2 || s.State != "finished" || !strings.Contains(got.stderr, "weir: refused not a url: ") {
		t.Errorf("exit code %d, %+v, %s", got.code, s, got.stderr)
	}
}

// TestInterrupt: Ctrl-C finishes what is in hand; --resume does the rest, no page
// is fetched twice.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	// So many that the crawl is not over before whoever waits for the interrupt runs.
	const pages = 300
	site, dir := newSite(t, pages), t.TempDir()
	items := filepath.Join(dir, "items.jsonl")
	ctx, interrupt := interruptible(t)
	site.each = func(total int) {
		if total == 20 {
			interrupt()
		}
	}
	args := crawlArgs(dir, append(eager(), site.seed(), "-o", items, "--json")...)
	got := weirWith(t, ctx, "", args...)
	s := parse(t, got)
	if got.code != 130 || s.State != "interrupted" || !balanced(s.Ledger) || s.Ledger.Leased != 0 || s.Pages >= pages {
		t.Errorf("exit code %d, %+v", got.code, s)
	}
	if want := "weir: interrupted: go on with: weir crawl --resume --data " + s.DataDir + " --allow-net 127.0.0.0/8\n"; got.stderr != want {
		t.Errorf("stderr %q", got.stderr)
	}
	if _, err := os.Stat(items); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file of items: %v", err)
	}
	refused := weir(t, args...)
	if refused.code != 2 || !strings.Contains(refused.stderr, "is unfinished: go on with it with --resume") {
		t.Errorf("without --resume: exit code %d, %s", refused.code, refused.stderr)
	}
	denied := weir(t, "crawl", "--resume", "--data", s.DataDir)
	if denied.code != 2 || !strings.Contains(denied.stderr, "add --allow-net 127.0.0.0/8") {
		t.Errorf("without --allow-net: exit code %d, %s", denied.code, denied.stderr)
	}
	rest := weir(t, crawlArgs(dir, "--resume", "-o", items, "--json")...)
	if s := parse(t, rest); rest.code != 0 || s.Pages != pages || s.State != "finished" || len(lines(t, items)) != pages {
		t.Errorf("resumed: exit code %d, %+v", rest.code, s)
	}
	if n := site.again(); n != 0 {
		t.Errorf("%d pages were fetched again", n)
	}
}

// TestStoppedBeforeItBegan: a process that was killed between its first file and
// the crawl's creation leaves a directory that can be resumed.
func TestStoppedBeforeItBegan(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 3), t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, data, "crawl.json", `{"name": "tree", "state": "unfinished"}`)
	got := weir(t, crawlArgs(dir, "--resume")...)
	if got.code != 2 || !strings.Contains(got.stderr, "name its spec again with --resume") {
		t.Errorf("without a spec: exit code %d, %s", got.code, got.stderr)
	}
	write(t, data, "spec.yaml", "name: tree\nseeds: {urls: ['"+site.seed()+"']}\npoliteness: {delay: 0s}\n")
	got = weir(t, crawlArgs(dir, "--resume", "--json")...)
	if s := parse(t, got); got.code != 0 || s.Pages != 3 {
		t.Errorf("exit code %d, %+v", got.code, s)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	got := weir(t, "demo")
	if got.code != 0 || strings.Count(got.stdout, `"_rule":"product"`) != 6 || !strings.Contains(got.stderr, "demo finished after ") {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}
