package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// TestCopy: a segment is copied as far as it is committed, whatever it is made of.
func TestCopy(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		p.append(t, a, exchange(t, 1, "one"), exchange(t, 2, "two"))
		p.append(t, a, exchange(t, 3, strings.Repeat("three ", 1000)))
		s := p.idx.list[0]
		want := raw(t, a, s.File, s.Size)
		if _, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 4, "not committed")}); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if missing, err := a.Copy(t.Context(), &b, s); missing != "" || err != nil || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%d bytes, want %d; %q, %v", b.Len(), len(want), missing, err)
		}
		full := errors.New("full")
		if _, err := a.Copy(t.Context(), &fullWriter{full}, s); !errors.Is(err, full) || crawl.KindOf(err) == crawl.Unavailable {
			t.Errorf("the writer's error became %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a.marked[s.File] = "x"
		if _, err := a.Copy(ctx, io.Discard, s); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody waits for it any more: %v", err)
		}
	})
}

type fullWriter struct{ err error }

func (w *fullWriter) Write([]byte) (int, error) { return 0, w.err }

// TestCopyDamaged: what is whole before the damage is copied, and the rest is named; so
// is a segment that is gone.
func TestCopyDamaged(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		r := p.append(t, a, exchange(t, 1, "one"), exchange(t, 2, "two"), exchange(t, 3, "three"))
		if n := tend(t, a, when.Add(2*time.Hour)); n != 1 {
			t.Fatal(n)
		}
		s := p.idx.list[0]
		data := raw(t, a, s.File, s.Size)
		at := r.Places[1].Offset
		data[at+r.Places[1].Length/2] ^= 0xff
		if err := a.shelf.put(t.Context(), s.File, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
		a.mark(t.Context(), s.File, "a test")
		var b bytes.Buffer
		missing, err := a.Copy(t.Context(), &b, s)
		if err != nil || !strings.HasPrefix(missing, s.File+" is damaged, and left out from byte ") || !strings.HasSuffix(missing, ": a test") {
			t.Fatalf("%q, %v", missing, err)
		}
		if !bytes.Equal(b.Bytes(), data[:at]) {
			t.Errorf("%d bytes, the damage is at %d", b.Len(), at)
		}
		rd := warc.NewReader(&b)
		for {
			if _, err := rd.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}

		// Shorter than it was committed, which nobody knew.
		delete(a.marked, s.File)
		if err := a.shelf.put(t.Context(), s.File, bytes.NewReader(data[:at]), at); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Copy(t.Context(), io.Discard, s); crawl.KindOf(err) != crawl.Unavailable || a.Quarantined()[s.File] == "" {
			t.Errorf("a segment that is too short: %v", err)
		}
		b.Reset()
		if missing, err := a.Copy(t.Context(), &b, s); err != nil || missing == "" || int64(b.Len()) != at {
			t.Errorf("the next time: %d bytes, %q, %v", b.Len(), missing, err)
		}

		if err := a.shelf.remove(t.Context(), s.File); err != nil {
			t.Fatal(err)
		}
		for range 2 { // in quarantine, and not
			b.Reset()
			if missing, err := a.Copy(t.Context(), &b, s); err != nil || !strings.Contains(missing, "is not there") || b.Len() > 0 {
				t.Errorf("%d bytes, %q, %v", b.Len(), missing, err)
			}
			delete(a.marked, s.File)
		}
	})
}

// TestReadOverMerge: whoever reads a row of parts while they are merged and deleted goes
// on in the merged object.
func TestReadOverMerge(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, nil)
		for n := range 4 {
			p.append(t, a, exchange(t, n, "body"))
		}
		s := p.idx.list[0]
		want := raw(t, a, s.File, s.Size)
		r, err := a.shelf.read(t.Context(), s.File, 0, s.Size)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		head := make([]byte, 10)
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		if n := tend(t, a, when.Add(2*time.Hour)); n != 1 {
			t.Fatal(n)
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(head, rest...), want) {
			t.Errorf("%d bytes, want %d: %v", 10+len(rest), len(want), err)
		}
	})
}
