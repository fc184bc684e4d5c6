package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		long := exchange(t, 2, strings.Repeat("long ", 1_000_000))
		long.Body.Stream, long.Body.StreamSize, long.Body.Deflate = bytes.NewReader(long.Body.Deflate), int64(len(long.Body.Deflate)), nil
		empty := exchange(t, 3, "")
		empty.Body = Body{}
		cut := exchange(t, 4, "cut")
		cut.Truncated, cut.Class = true, crawl.ClassTooSlow
		r := p.append(t, a, exchange(t, 1, "hello"), long, empty, cut)
		check := func() {
			t.Helper()
			for i, want := range []string{"hello", strings.Repeat("long ", 1_000_000), "", "cut"} {
				if got := body(t, a, r.Places[i]); got != want {
					t.Errorf("body %d is %.20q", i, got)
				}
			}
			got := p.text(t, a, 0)
			want := wantRecords(t, p.idx.list[0].File)
			if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
				t.Error(diff)
			}
			if n := strings.Count(got, "WARC-Truncated: time\r\n"); n != 1 {
				t.Errorf("%d truncated records", n)
			}
		}
		check()
		if n := tend(t, a, when.Add(2*time.Hour)); n != 1 {
			t.Fatalf("%d segments finished", n)
		}
		check() // the same bytes at the same places, as one file
		a = p.open(t, nil)
		check()
	})
}

// wantRecords is what a segment begins with.
func wantRecords(t *testing.T, file string) string {
	head := func(kind, contentType, id, more string, length int) string {
		out := "WARC/1.1\r\nWARC-Type: " + kind + "\r\nWARC-Record-ID: " + id + "\r\nWARC-Date: 2026-11-22T10:11:12.345678Z\r\n" + more
		return out + fmt.Sprintf("Content-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, length)
	}
	x := exchange(t, 1, "hello")
	id := newSegment(Segment{File: file}).info.String()
	info := "WARC-Warcinfo-ID: " + id + "\r\n"
	wantInfo := "software: Weir/test\r\nformat: WARC File Format 1.1\r\nconformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\nisPartOf: c1\r\n"
	response := "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Archive-Orig-Content-Encoding: br\r\nX-Archive-Orig-Content-Length: 12\r\nX-Odd: a  b\r\nContent-Length: 5\r\n\r\nhello"
	request := "GET /1?a=b HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Weir/test\r\n\r\n"
	return head("warcinfo", "application/warc-fields", id, "WARC-Filename: "+file+"\r\n", len(wantInfo)) + wantInfo + "\r\n\r\n" +
		head("response", warc.TypeResponse, x.ID.String(), "WARC-Target-URI: "+x.URL+"\r\nWARC-IP-Address: 192.0.2.1\r\nWARC-Payload-Digest: sha256:"+
			fmt.Sprintf("%x", x.Body.SHA256)+"\r\n"+info, len(response)) + response + "\r\n\r\n" +
		head("request", warc.TypeRequest, companionID(x.ID, 0).String(), "WARC-Target-URI: "+x.URL+"\r\nWARC-Concurrent-To: "+x.ID.String()+"\r\n"+info, len(request)) + request + "\r\n\r\n"
}

// TestCompanions: a POST is asked with its own method and body, and known to others by
// the URL that the server saw; facts and attachments have records of their own.
func TestCompanions(t *testing.T) {
	t.Parallel()
	p := &place{dir: t.TempDir(), idx: &memIndex{}}
	a := p.open(t, nil)
	x := exchange(t, 1, "found")
	x.URL = "http://example.com/search?x=1#!method=POST&type=application%2Fjson&body=%7B%22q%22%3A1%7D"
	x.Request = append(x.Request, Header{"Content-Type", []byte("application/json")})
	x.Facts = []Header{{"crawl", []byte("c1")}, {"via", []byte("http://example.com/\r\nforged: 1")}}
	x.Attachments = []Attachment{{Name: "screenshot", ContentType: "image/png", Data: bytes.Repeat([]byte("\x89PNG"), 40_000)}}
	r := p.append(t, a, x)
	if got := body(t, a, r.Places[0]); got != "found" {
		t.Errorf("body %q", got)
	}
	got := p.text(t, a, 0)
	for _, want := range []string{
		"WARC-Target-URI: http://example.com/search?x=1\r\n",
		"POST /search?x=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Weir/test\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"q\":1}\r\n\r\n",
		"crawl: c1\r\nvia: http://example.com/  forged: 1\r\n",
		"WARC-Type: resource\r\n", "WARC-Target-URI: urn:screenshot:http://example.com/search?x=1\r\n", strings.Repeat("\x89PNG", 40_000),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %.100q", want)
		}
	}
	if strings.Contains(got, "#!") {
		t.Error("a fragment in the archive")
	}
	ids := map[string]bool{}
	rd := warc.NewReader(bytes.NewReader(raw(t, a, p.idx.list[0].File, p.idx.list[0].Size)))
	for e, err := rd.Next(); !errors.Is(err, io.EOF); e, err = rd.Next() {
		if err != nil {
			t.Fatal(err)
		}
		ids[e.Get("WARC-Record-ID")] = true
	}
	if len(ids) != 5 {
		t.Errorf("ids %v", ids)
	}
}

// TestSegmentsOfCrawls: crawls do not share segments, and one batch grows all.
func TestSegmentsOfCrawls(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		var xs []*Exchange
		for n := range 120 { // more crawls than files are kept open
			x := exchange(t, n, fmt.Sprint("body ", n))
			x.Crawl = fmt.Sprint("crawl", n%100)
			xs = append(xs, x)
		}
		first := p.append(t, a, xs...)
		second := p.append(t, a, xs...)
		if len(p.idx.list) != 100 || len(first.Sizes) != 100 {
			t.Fatalf("%d segments, %d grown", len(p.idx.list), len(first.Sizes))
		}
		for i := range xs {
			for _, r := range []*Result{first, second} {
				if got := body(t, a, r.Places[i]); got != fmt.Sprint("body ", i) {
					t.Errorf("body %d is %q", i, got)
				}
				if crawlOf(r.Places[i].File) != xs[i].Crawl {
					t.Errorf("%s has a record of %s", r.Places[i].File, xs[i].Crawl)
				}
			}
		}
		// One crawl goes, the others stay as they are.
		a.Drop("crawl7")
		if n := tend(t, a, when); n != 1 {
			t.Fatalf("%d segments finished", n)
		}
		gone := first.Places[7]
		if err := a.Remove(t.Context(), gone.File); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Body(t.Context(), gone); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("a removed body: %v", err)
		}
		for _, name := range p.names(t, a) {
			if strings.Contains(name, "crawl7-") {
				t.Errorf("%s is left", name)
			}
		}
		if got := body(t, a, second.Places[8]); got != "body 8" {
			t.Errorf("body %q", got)
		}
	})
}

func TestTailIsCut(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		first := p.append(t, a, exchange(t, 1, "kept"))
		// Appended, but the catalogue's commit failed: the next batch takes its place.
		if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 2, "lost")}); err != nil {
			t.Fatal(err)
		}
		second := p.append(t, a, exchange(t, 3, "second"))
		if second.Places[0].Offset != first.Sizes[1] {
			t.Errorf("the second batch is at %d, the first ended at %d", second.Places[0].Offset, first.Sizes[1])
		}
		// Appended, then a crash.
		if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 4, "lost")}); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = p.open(t, nil)
		if end, _, err := a.shelf.open(t.Context(), p.idx.list[0].File); err != nil || end != second.Sizes[1] {
			t.Errorf("the segment has %v bytes, %d were committed (%v)", end, second.Sizes[1], err)
		}
		third := p.append(t, a, exchange(t, 5, "third"))
		if len(p.idx.list) != 1 || third.Places[0].Offset != second.Sizes[1] {
			t.Errorf("not appended to the same segment: %+v", third.Places[0])
		}
		if got := p.text(t, a, 0); strings.Contains(got, "lost") || strings.Count(got, "WARC-Type: response") != 3 {
			t.Errorf("segment: %s", got)
		}
		for place, want := range map[Place]string{first.Places[0]: "kept", second.Places[0]: "second", third.Places[0]: "third"} {
			if got := body(t, a, place); got != want {
				t.Errorf("body %q, want %q", got, want)
			}
		}
	})
}

func TestRoll(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, func(c *Config) { c.MaxSize = 1000 })
		for n := range 3 {
			x := exchange(t, n, strings.Repeat(fmt.Sprint(n), 100))
			p.appendAt(t, a, when.Add(time.Duration(n)*time.Second), x, x)
		}
		a.cfg.MaxSize = 1 << 30
		if n := tend(t, a, when.Add(time.Minute)); n != 2 || !p.idx.list[0].Sealed || !p.idx.list[1].Sealed || p.idx.list[2].Sealed {
			t.Errorf("by size: %d, %+v", n, p.idx.list)
		}
		p.appendAt(t, a, when.Add(2*time.Hour), exchange(t, 9, ""))
		if n := tend(t, a, when.Add(2*time.Hour)); n != 1 || len(p.idx.list) != 4 || !p.idx.list[2].Sealed {
			t.Errorf("by age: %d, %+v", n, p.idx.list)
		}
		// An old segment is finished without another batch.
		if n := tend(t, a, when.Add(4*time.Hour)); n != 1 || !p.idx.list[3].Sealed {
			t.Errorf("without a batch: %d, %+v", n, p.idx.list)
		}
		var want []string
		for i, s := range p.idx.list {
			if !strings.HasPrefix(p.text(t, a, i), "WARC/1.1\r\nWARC-Type: warcinfo") {
				t.Errorf("%s has no warcinfo record first", s.File)
			}
			want = append(want, IndexOf(s.File), s.File)
		}
		if diff := cmp.Diff(want, p.names(t, a)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		p.idx.fail = crawl.Errorf(crawl.Unavailable, "full")
		if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 1, "a")}); crawl.KindOf(err) != crawl.Unavailable {
			t.Errorf("error %v", err)
		}
		p.idx.fail = nil
		// A body that fails in the middle, on its way from another file; another crawl's
		// records were written already.
		broken := exchange(t, 2, "b")
		broken.Body = Body{Stream: io.MultiReader(strings.NewReader("xx"), brokenReader{}), StreamSize: 8, Sum: warc.Sum{Size: 10}}
		other := exchange(t, 4, "d")
		other.Crawl = "c2"
		if _, err := a.Append(t.Context(), when, []*Exchange{other, exchange(t, 1, "a"), broken}); crawl.KindOf(err) != crawl.Unavailable {
			t.Errorf("error %v", err)
		}
		for _, s := range p.idx.list {
			if end, _, err := a.shelf.open(t.Context(), s.File); err != nil || end != 0 {
				t.Errorf("%d bytes are left of a failed batch, %v", end, err)
			}
		}
		r := p.append(t, a, exchange(t, 1, "a"), other)
		if got := body(t, a, r.Places[0]) + body(t, a, r.Places[1]); got != "ad" {
			t.Errorf("bodies %q", got)
		}
		if _, err := a.Body(t.Context(), Place{File: "../../etc/passwd", Length: 10}); err == nil {
			t.Errorf("a path out of the folder: %v", err)
		}
	})
}

// TestQuarantine: a segment that lost what was committed takes no more, is marked, and
// what is whole in it can be read.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	p := &place{dir: t.TempDir(), idx: &memIndex{}}
	a := p.open(t, nil)
	r := p.append(t, a, exchange(t, 1, "first"), exchange(t, 2, "second"))
	file := filepath.Join(p.dir, p.idx.list[0].File)
	if err := errors.Join(a.Close(), os.Truncate(file, r.Places[1].Offset+20)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the mark lasts
		a = p.open(t, nil)
		if why := a.Quarantined()[p.idx.list[0].File]; !strings.Contains(why, "were committed") {
			t.Errorf("marked %v", a.Quarantined())
		}
	}
	p.append(t, a, exchange(t, 3, "third"))
	if len(p.idx.list) != 2 || !p.idx.list[0].Sealed {
		t.Errorf("segments %+v", p.idx.list)
	}
	if got := body(t, a, r.Places[0]); got != "first" {
		t.Errorf("body %q", got)
	}
	if _, err := a.Body(t.Context(), r.Places[1]); err == nil {
		t.Error("half a record is a body")
	}
}

// TestDamage: bytes that change are seen when they are read and when the segment is
// finished.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]bool{"read": true, "finished": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &place{dir: t.TempDir(), idx: &memIndex{}}
			a := p.open(t, nil)
			r := p.append(t, a, exchange(t, 1, "first"), exchange(t, 2, strings.Repeat("second ", 99)))
			f, err := os.OpenFile(filepath.Join(p.dir, p.idx.list[0].File), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			at := r.Places[1].Offset
			if read {
				at += r.Places[1].Length - 10 // the checksum
			}
			_, err = f.WriteAt([]byte("damage"), at)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			if read {
				rd, err := a.Body(t.Context(), r.Places[1])
				if err == nil {
					_, err = io.Copy(io.Discard, rd)
					_ = rd.Close()
				}
				if !errors.Is(err, warc.ErrFormat) {
					t.Errorf("error %v", err)
				}
			} else {
				tend(t, a, when.Add(2*time.Hour))
			}
			if len(a.Quarantined()) != 1 {
				t.Errorf("marked %v", a.Quarantined())
			}
			tend(t, a, when.Add(2*time.Hour))
			next := p.appendAt(t, a, when.Add(3*time.Hour), exchange(t, 3, "third"))
			if len(p.idx.list) != 2 || body(t, a, next.Places[0]) != "third" || body(t, a, r.Places[0]) != "first" {
				t.Errorf("%+v", p.idx.list)
			}
		})
	}
}

// TestTidyUp: a process that was killed after it sealed a segment, but before it had
// deleted the parts, leaves that to the next.
func TestTidyUp(t *testing.T) {
	t.Parallel()
	p := &place{dir: t.TempDir(), store: openStore(t, "file://"+t.TempDir()), idx: &memIndex{}}
	a := p.open(t, nil)
	r := p.append(t, a, exchange(t, 1, "kept"))
	other := exchange(t, 2, "open")
	other.Crawl = "c2"
	open := p.appendAt(t, a, when.Add(2*time.Hour), other)
	part := fmt.Sprintf("%s%s/%016d", partsPrefix, p.idx.list[0].File, 0)
	data := raw(t, a, p.idx.list[0].File, p.idx.list[0].Size)
	tend(t, a, when.Add(2*time.Hour))
	if err := p.store.Put(t.Context(), part, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	a = p.open(t, nil)
	tend(t, a, when.Add(2*time.Hour))
	want := []string{IndexOf(p.idx.list[0].File), p.idx.list[0].File, fmt.Sprintf("%s%s/%016d", partsPrefix, p.idx.list[1].File, 0)}
	if diff := cmp.Diff(want, p.names(t, a)); diff != "" {
		t.Error(diff)
	}
	if body(t, a, r.Places[0]) != "kept" || body(t, a, open.Places[0]) != "open" {
		t.Error("bodies changed")
	}
}
