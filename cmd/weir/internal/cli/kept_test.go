package cli

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKept reads what a crawl kept by all commands that choose, and deletes it.
func TestKept(t *testing.T) {
	t.Parallel()
	const image = "not really an image"
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, `<h1>0</h1><a href="/1">a</a><a href="/2">b</a><a href="/gone">c</a><a href="/same">d</a>`)
		case r.URL.Path == "/1", r.URL.Path == "/2", r.URL.Path == "/same":
			w.Header().Set("Content-Type", "text/html")
			n := strings.TrimPrefix(strings.ReplaceAll(r.URL.Path, "same", "1"), "/")
			_, _ = fmt.Fprintf(w, `<h1>%s</h1><img src="/pic-%s.png">`, n, n)
		case strings.HasPrefix(r.URL.Path, "/pic-"):
			w.Header().Set("Content-Type", "image/png")
			_, _ = fmt.Fprint(w, image)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(site.Close)
	dir := t.TempDir()
	spec := write(t, dir, "spec.yaml", "name: kept\nseeds: {urls: ["+site.URL+"/]}\npoliteness: {delay: 0s}\nfetch: {retries: 0}\n"+
		"extract:\n  - name: thing\n    fields:\n      n: {css: h1, type: number}\n      image: {css: img, attr: src, type: url, media: true}\n")
	s := startUp(t, dir)
	call := func(args ...string) string {
		t.Helper()
		got := weir(t, append(args, "--server", s.addr)...)
		if got.code != 0 {
			t.Fatalf("weir %s: exit code %d, %s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
		}
		return got.stdout
	}
	id := strings.TrimSpace(call("submit", "--close", spec))
	if n := strings.Count(call("items", id, "--follow"), "\n"); n != 4 {
		t.Errorf("%d items followed", n)
	}
	call("wait", id)
	for want, args := range map[int][]string{
		1: {"items", "--where", "n=2"},
		2: {"items", "--where", "n=1", "--rule", "thing"},
		3: {"items", "--url", "re:/(1|2|same)$"},
		4: {"items", "--since", "1h"},
		0: {"items", "--until", "1h"},
	} {
		if got := call(append(args, id)...); strings.Count(got, "\n") != want {
			t.Errorf("weir %s: %s", strings.Join(args, " "), got)
		}
		args[0] = "export"
		if got := call(append(args, id, "-o", "-")...); strings.Count(got, "\n") != want {
			t.Errorf("weir %s: %s", strings.Join(args, " "), got)
		}
	}
	archive := filepath.Join(dir, "pages.warc.gz")
	if got := call("export", id, "-o", archive); !strings.HasSuffix(got, " in "+archive+"\n") {
		t.Errorf("export: %s", got)
	}
	data, err := os.ReadFile(archive)
	if err != nil || pagesIn(t, archive) == 0 {
		t.Errorf("no pages: %v", err)
	}
	if got := call("export", id, "-o", "-", "--format", "warc"); got != string(data) {
		t.Errorf("%d bytes on stdout, %d in the file", len(got), len(data))
	}
	if got := call("pages", id, "--status", "404", "--kind", "page"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "/gone") {
		t.Errorf("pages: %s", got)
	}
	if got := call("pages", id, "--error", "status_4xx", "--url", "*/gone"); strings.Count(got, "\n") != 1 {
		t.Errorf("pages: %s", got)
	}
	if got := call("pages", id, "--error", "none", "--kind", "page"); !strings.Contains(got, "/same = "+site.URL+"/1\n") && !strings.Contains(got, "/1 = "+site.URL+"/same\n") {
		t.Errorf("no duplicate among %s", got)
	}
	if got := call("media", id); strings.Count(got, "\n") != 2 || !strings.Contains(got, "/pic-1.png") {
		t.Errorf("media: %s", got)
	}
	files := filepath.Join(dir, "files")
	for range 2 {
		if got := call("media", id, "-o", files); !strings.HasPrefix(got, "the files of 2 URLs are in "+files) {
			t.Errorf("media: %s", got)
		}
	}
	name := fmt.Sprintf("%x.png", sha256.Sum256([]byte(image)))
	if data, err := os.ReadFile(filepath.Join(files, name)); err != nil || string(data) != image {
		t.Errorf("file %q, %v", data, err)
	}
	if index, err := os.ReadFile(filepath.Join(files, "index.jsonl")); err != nil || strings.Count(string(index), `"file":"`+name+`"`) != 2 {
		t.Errorf("index %s, %v: want %s", index, err, name)
	}
	if entries, err := os.ReadDir(files); err != nil || len(entries) != 2 || len(lines(t, filepath.Join(files, "index.jsonl"))) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	if got := call("delete", id, "--yes", "--data"); !strings.Contains(got, "4 items of "+id+" deleted") {
		t.Errorf("delete: %s", got)
	}
	if got := call("delete", id, "--yes", "--data"); !strings.Contains(got, "nothing is kept of "+id) {
		t.Errorf("deleted again: %s", got)
	}
	s.stop()
}

// TestFilterUsage: what cannot be a filter is refused with what would be right.
func TestFilterUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"items", "x", "--where", "n"}, "want field=value"},
		{[]string{"items", "x", "--since", "yesterday"}, "a time ago such as 90m"},
		{[]string{"items", "x", "--follow", "--rejected"}, "--follow goes with neither"},
		{[]string{"pages", "x", "--status", "4xx"}, "want an HTTP status"},
		{[]string{"pages", "x", "--error", "nonsense"}, "no such class of errors"},
		{[]string{"pages", "x", "--kind", "unspecified"}, "want page, robots or media"},
	} {
		if got := weir(t, c.args...); got.code != 2 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
}
