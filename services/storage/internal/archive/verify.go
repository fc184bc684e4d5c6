package archive

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"

	"github.com/weircrawl/weir/internal/warc"
)

// Inspect opens an archive to be read and verified alone: nothing of it is changed, and
// another process may append to it meanwhile.
func Inspect(ctx context.Context, cfg Config, log *slog.Logger) (*Archive, error) {
	a := &Archive{cfg: cfg, log: log, marked: map[string]string{}}
	if cfg.Store != nil {
		a.shelf = newObjects(cfg.Store)
	} else {
		var err error
		if a.shelf, err = newFiles(cfg.Dir); err != nil {
			return nil, err
		}
	}
	return a, a.wrap("read the marks of damaged segments", a.loadMarks(ctx))
}

// Record is what Verify finds.
type Record struct {
	// Offset of the record.
	Offset int64
	// Type of the record.
	Type warc.Type
	// URL is its target.
	URL string
	// SHA256 that the record gives for its payload; nil without one.
	SHA256 []byte
	// Wrong says what is wrong with the record; empty: nothing.
	Wrong string
}

// Verify reads a segment as far as it is committed: every checksum, and the digest of
// every response's payload. It yields the responses and revisits; an error ends it, and
// wraps warc.ErrFormat where the segment is damaged from there on.
func (a *Archive) Verify(ctx context.Context, s Segment) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r, err := a.shelf.read(ctx, s.File, 0, s.Size)
		if err != nil {
			yield(Record{}, a.wrap("read "+s.File, err))
			return
		}
		defer r.Close()
		rd := warc.NewReader(r)
		for {
			if err := ctx.Err(); err != nil {
				yield(Record{}, err)
				return
			}
			e, err := rd.Next()
			if errors.Is(err, io.EOF) {
				if rd.End() != s.Size {
					yield(Record{}, fmt.Errorf("%w: it ends at %d, %d bytes were committed", warc.ErrFormat, rd.End(), s.Size))
				}
				return
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			if t := e.Type(); t != warc.Response && t != warc.Revisit {
				continue
			}
			rec, err := verify(e)
			if err != nil {
				yield(Record{}, fmt.Errorf("record at offset %d: %w", e.Offset, err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// VerifyAt reads one record, as Verify does: of a segment that is damaged elsewhere.
func (a *Archive) VerifyAt(ctx context.Context, p Place) (Record, error) {
	for rec, err := range a.verifyRange(ctx, p) {
		return rec, err
	}
	return Record{}, fmt.Errorf("%w: nothing at %d", warc.ErrFormat, p.Offset)
}

func (a *Archive) verifyRange(ctx context.Context, p Place) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		r, err := a.shelf.read(ctx, p.File, p.Offset, p.Length)
		if err != nil {
			yield(Record{}, a.wrap("read "+p.File, err))
			return
		}
		defer r.Close()
		rd := warc.NewReader(r)
		e, err := rd.Next()
		if err != nil {
			yield(Record{}, err)
			return
		}
		rec, err := verify(e)
		if err == nil {
			if _, err = rd.Next(); errors.Is(err, io.EOF) { // its checksum
				err = nil
			}
		}
		rec.Offset = p.Offset
		yield(rec, err)
	}
}

// verify reads a record's payload and compares its digest.
func verify(e *warc.Entry) (Record, error) {
	rec := Record{Offset: e.Offset, Type: e.Type(), URL: strings.Trim(e.Get("WARC-Target-URI"), "<>")}
	digest, found := strings.CutPrefix(e.Get("WARC-Payload-Digest"), "sha256:")
	if !found {
		return rec, nil
	}
	var err error
	if rec.SHA256, err = hex.DecodeString(digest); err != nil {
		rec.Wrong = "its payload digest is no SHA-256"
		return rec, nil
	}
	if rec.Type != warc.Response {
		return rec, nil
	}
	b := bufio.NewReader(e)
	if err := warc.SkipHTTPHead(b); err != nil {
		return rec, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, b); err != nil {
		return rec, err
	}
	if !bytes.Equal(h.Sum(nil), rec.SHA256) {
		rec.Wrong = "its payload has another digest than it says"
	}
	return rec, nil
}

// Target is the URL that the archive knows a canonical URL by.
func Target(canonicalURL string) string { return (&Exchange{URL: canonicalURL}).target() }

// CrawlOf is the id of the crawl that a segment is of.
func CrawlOf(file string) string { return crawlOf(file) }

// Strays returns what is kept but belongs to no segment of the list.
func (a *Archive) Strays(ctx context.Context, segments []Segment) ([]string, error) {
	known := map[string]bool{}
	for _, s := range segments {
		known[s.File], known[IndexOf(s.File)] = true, true
	}
	var out []string
	for name, err := range a.shelf.list(ctx, "") {
		if err != nil {
			return nil, a.wrap("list", err)
		}
		if !known[name] && !strings.HasPrefix(name, marksPrefix) && !strings.HasPrefix(name, newestPrefix) {
			out = append(out, name)
		}
	}
	return out, nil
}

// HasIndex reports whether a segment has its index.
func (a *Archive) HasIndex(ctx context.Context, file string) (bool, error) {
	for name, err := range a.shelf.list(ctx, IndexOf(file)) {
		if err != nil {
			return false, a.wrap("list", err)
		}
		if name == IndexOf(file) {
			return true, nil
		}
	}
	return false, nil
}

// Reindex makes the index of a sealed segment anew.
func (a *Archive) Reindex(ctx context.Context, s Segment) error {
	return a.wrap("index "+s.File, a.index(ctx, newSegment(s)))
}
