// Package interop_test lets other projects' programs read what the archive and exports
// write, and the archive's reader read what they write. The programs are in test/interop; make
// test installs them (make interop-tools).
package interop_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// index is an archive.Index in memory.
type index struct{ list []archive.Segment }

func (x *index) AddSegment(_ context.Context, s *archive.Segment) error {
	s.ID = int64(len(x.list) + 1)
	x.list = append(x.list, *s)
	return nil
}

func (x *index) SealSegment(_ context.Context, id int64) error {
	x.list[id-1].Sealed = true
	return nil
}

// tool runs a program of test/interop, or one of the system.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if strings.Contains(name, "/") {
		dir, err := filepath.Abs("../../../../../test/interop")
		if err != nil {
			t.Fatal(err)
		}
		if name = filepath.Join(dir, name); strings.HasSuffix(name, "js") {
			name, args = "node", append([]string{name}, args...)
		}
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
			t.Fatalf("the readers of other projects are missing: run make interop-tools (%v)", err)
		}
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return out
}

// records are one of each kind that the archive writes, and what their payloads are by
// URL.
func records(t *testing.T) (xs []*archive.Exchange, payloads map[string]string) {
	t.Helper()
	payloads = map[string]string{}
	when := time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)
	add := func(url, contentType, body string) *archive.Exchange {
		n := len(xs)
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(body))
		if err := errors.Join(w.Flush(), w.Close()); err != nil {
			t.Fatal(err)
		}
		trimmed, _ := warc.Trim(packed.Bytes())
		sum, id := sha256.Sum256([]byte(body)), sha256.Sum256(fmt.Append(nil, n))
		x := &archive.Exchange{
			Crawl: "c1", ID: archive.NewID(id[:]), URL: url, At: when.Add(time.Duration(n) * time.Second), Remote: netip.MustParseAddr("2001:db8::1"),
			Protocol: "HTTP/2.0", Status: 200,
			Request:  []archive.Header{{Name: "User-Agent", Value: []byte("Weir/test")}},
			Response: []archive.Header{{Name: "Content-Type", Value: []byte(contentType)}, {Name: "Content-Encoding", Value: []byte("br")}},
			Facts:    []archive.Header{{Name: "crawl", Value: []byte("c1")}, {Name: "via", Value: []byte("http://example.com/")}},
			Body:     archive.Body{Deflate: trimmed, Sum: warc.Sum{Size: int64(len(body)), CRC32: crc32.ChecksumIEEE([]byte(body))}, SHA256: sum[:]},
		}
		xs = append(xs, x)
		payloads[x.ID.String()] = body
		return x
	}
	add("http://example.com/", "text/html; charset=utf-8", "<title>home</title>")
	add("http://www.example.com/P%C3%A4ge?b=2&a=1&A=0", "text/html", strings.Repeat("<p>long</p>", 20_000))
	add("https://sub.example.co.uk:8443/dir/", "application/json", `{"a":"\u00e4"}`)
	add("http://example.com/empty", "text/plain", "").Body = archive.Body{}
	first := add("http://example.com/same", "text/html", "same")
	again := add("http://example.com/same", "text/html", "same")
	again.Revisit = &archive.Revisit{ID: first.ID, URL: first.URL, At: first.At}
	delete(payloads, again.ID.String())
	shot := add("http://example.com/shot", "text/html", "<canvas>")
	image := bytes.Repeat([]byte{0x89, 'P', 'N', 'G', 0, 1, 2, 3}, 20_000)
	shot.Attachments = []archive.Attachment{{Name: "screenshot", ContentType: "image/png", Data: image, SHA256: sha256.Sum256(image)}}
	post := add("http://example.com/search#!method=POST&type=application%2Fx-www-form-urlencoded&body=q%3Dfish%26page%3D2", "text/html", "found")
	post.Request = append(post.Request, archive.Header{Name: "Content-Type", Value: []byte("application/x-www-form-urlencoded")})
	gone := add("http://example.com/gone", "text/html", "<h1>404</h1>")
	gone.Status = 404
	return xs, payloads
}

// segment writes the records and finishes the file.
func segment(t *testing.T) (path string, places map[string]archive.Place, payloads map[string]string) {
	t.Helper()
	dir, idx := t.TempDir(), &index{}
	a, err := archive.Open(t.Context(), archive.Config{Dir: dir, MaxSize: 1, MaxAge: time.Hour, Suffix: "t", Software: "Weir/test"}, idx, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	xs, payloads := records(t)
	r, err := a.Append(t.Context(), time.Now(), xs)
	if err != nil {
		t.Fatal(err)
	}
	idx.list[0].Size = r.Sizes[1]
	a.Keep(r)
	if n, err := a.Tend(t.Context(), time.Now()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	places = map[string]archive.Place{}
	for i, x := range xs {
		places[x.ID.String()] = r.Places[i]
	}
	return filepath.Join(dir, idx.list[0].File), places, payloads
}

// seen is a record as another program saw it.
type seen struct {
	Type, URI, ID, Digest, Found, Method, Payload string
}

func parse(t *testing.T, out []byte) []seen {
	t.Helper()
	var all []seen
	for line := range bytes.Lines(out) {
		var s seen
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		data, err := base64.StdEncoding.DecodeString(s.Payload)
		if err != nil {
			t.Fatal(err)
		}
		s.Payload = string(data)
		all = append(all, s)
	}
	return all
}

// TestReaders: two programs with nothing in common see the same records and payloads.
func TestReaders(t *testing.T) {
	t.Parallel()
	path, _, payloads := segment(t)
	for _, program := range []string{"./read-warcio.mjs", "./read-node-warc.js"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			types := map[string]int{}
			for _, s := range parse(t, tool(t, program, path)) {
				types[s.Type]++
				want, known := payloads[s.ID]
				if s.Type == "response" && (!known || s.Payload != want) {
					t.Errorf("%s has a payload of %d bytes, want %d (%v)", s.URI, len(s.Payload), len(want), known)
				}
				if s.Type == "response" && s.Found != "" && s.Digest != "" && s.Found != s.Digest {
					t.Errorf("%s: digest %s, its payload has %s", s.URI, s.Digest, s.Found)
				}
				if strings.Contains(s.URI, "#") {
					t.Errorf("target %s", s.URI)
				}
				if s.Type == "request" && s.Method != "" && (s.Method == "POST") != (s.Payload == "q=fish&page=2") {
					t.Errorf("%s %s with %q", s.Method, s.URI, s.Payload)
				}
			}
			want := map[string]int{"warcinfo": 1, "response": 8, "revisit": 1, "request": 9, "metadata": 9, "resource": 1}
			if diff := cmp.Diff(want, types); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRowOfSegments: several segments one behind the other, as an export of a crawl's
// archive puts them, are one file to other programs.
func TestRowOfSegments(t *testing.T) {
	t.Parallel()
	dir, idx := t.TempDir(), &index{}
	a, err := archive.Open(t.Context(), archive.Config{Dir: dir, MaxSize: 1, MaxAge: time.Hour, Suffix: "t", Software: "Weir/test"}, idx, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	xs, payloads := records(t)
	for n, part := range [][]*archive.Exchange{xs[:3], xs[3:]} {
		r, err := a.Append(t.Context(), time.Now(), part)
		if err != nil {
			t.Fatal(err)
		}
		idx.list[n].Size = r.Sizes[int64(n+1)]
		a.Keep(r)
	}
	path := filepath.Join(dir, "all.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range idx.list {
		if missing, err := a.Copy(t.Context(), f, s); err != nil || missing != "" {
			t.Fatal(missing, err)
		}
	}
	types := map[string]int{}
	for _, s := range parse(t, tool(t, "./read-warcio.mjs", path)) {
		types[s.Type]++
		if s.Type == "response" && s.Payload != payloads[s.ID] {
			t.Errorf("%s has another payload", s.URI)
		}
	}
	want := map[string]int{"warcinfo": 2, "response": 8, "revisit": 1, "request": 9, "metadata": 9, "resource": 1}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
}

// TestCDXJ: the index is, line by line, the one that warcio makes of the file; of a
// POST warcio writes the request into the key.
func TestCDXJ(t *testing.T) {
	t.Parallel()
	path, places, _ := segment(t)
	ours, err := os.ReadFile(filepath.Join(filepath.Dir(path), archive.IndexOf(filepath.Base(path))))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, string(ours), path, "search")
	if n := strings.Count(string(ours), "\n"); n != len(places)+1 { // and the screenshot
		t.Errorf("%d lines", n)
	}
	for _, p := range places {
		if !strings.Contains(string(ours), fmt.Sprintf(`"length":"%d","offset":"%d"`, p.Length, p.Offset)) {
			t.Errorf("no line for the record at %d", p.Offset)
		}
	}
}

// compare compares an index with warcio's, lines with except left out.
func compare(t *testing.T, ours, path, except string) {
	t.Helper()
	lines := func(text string) []string {
		all := strings.Split(strings.TrimSpace(text), "\n")
		return slices.DeleteFunc(all, func(l string) bool { return except != "" && strings.Contains(l, except) })
	}
	want := lines(string(tool(t, "./node_modules/.bin/warcio", "cdx-index", "--format", "cdxj", path)))
	slices.Sort(want)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], path, filepath.Base(path))
	}
	if diff := cmp.Diff(want, lines(ours)); diff != "" {
		t.Error(diff)
	}
}

// TestWget reads what wget writes, by the slow way and by skimming, and indexes it as
// warcio does.
func TestWget(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			_, _ = io.WriteString(w, `<a href="/a?y=2&amp;x=1">a</a> <a href="/Big">b</a> <a href="/moved">m</a> <a href="/none">n</a>`)
		case r.URL.Path == "/Big":
			_, _ = w.Write(bytes.Repeat([]byte("big "), 100_000))
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/a", http.StatusMovedPermanently)
		case r.URL.Path == "/a":
			_, _ = fmt.Fprintf(w, "a %s", r.URL.RawQuery)
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "wget", "-q", "-r", "-e", "robots=off", "--warc-file=w", "--warc-tempdir=.", site.URL+"/")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 8 { // 8: a page was not found
		t.Fatalf("wget: %v: %s", err, out)
	}
	path := filepath.Join(dir, "w.warc.gz")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slow, fast := warc.NewReader(bytes.NewReader(data)), warc.NewReader(bytes.NewReader(data))
	var index []string
	for n := 0; ; n++ {
		e, err := slow.Next()
		h, herr := fast.Skim()
		if errors.Is(err, io.EOF) && errors.Is(herr, io.EOF) {
			if n < 10 {
				t.Errorf("%d records", n)
			}
			break
		}
		if err != nil || herr != nil {
			t.Fatal(err, herr)
		}
		if diff := cmp.Diff(e.Fields, h.Fields); diff != "" || e.Offset != h.Offset {
			t.Errorf("at %d and %d: %s", e.Offset, h.Offset, diff)
		}
		if line, ok := warc.AppendCDXJ(nil, h, "w.warc.gz"); ok {
			index = append(index, string(line))
		}
	}
	slices.Sort(index)
	// Addresses are not reversed by us (nor by most); that of the test's site is one.
	ours := strings.ReplaceAll(strings.Join(index, ""), "127.0.0.1:", "1,0,0,127:")
	ours = strings.ReplaceAll(ours, `"url":"http://1,0,0,127:`, `"url":"http://127.0.0.1:`)
	compare(t, ours, path, "metadata://")
}
