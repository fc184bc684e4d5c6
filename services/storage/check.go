package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
	"github.com/weircrawl/weir/services/storage/internal/sqlitestore"
)

// Findings are what Check found.
type Findings struct {
	// Segments, Records (responses and revisits) and Pages that were read.
	Segments, Records, Pages uint64
	// Unreferenced records are whole but no page's: of attempts that later ones replaced,
	// or whose crawl is being deleted.
	Unreferenced uint64
	// Missing pages have a place in the archive where their record is not, or not whole.
	Missing uint64
	// Gone segments are not there.
	Gone uint64
	// Corrupt records and segments do not have the checksum, the digest or the form that
	// they should.
	Corrupt uint64
	// Orphaned files belong to no segment that the catalogue knows.
	Orphaned uint64
	// Unindexed segments are finished and have no index; Repaired ones have one now.
	Unindexed, Repaired uint64
}

// Wrong reports whether something is.
func (f *Findings) Wrong() bool {
	return f.Missing+f.Corrupt+f.Orphaned+f.Gone > 0 || f.Unindexed > f.Repaired
}

// CheckOptions of Check.
type CheckOptions struct {
	// Repair makes the indexes that are missing. Nothing else is ever changed.
	Repair bool
	// Say is called with every finding: a kind and a line about it.
	Say func(kind, line string)
}

// Check compares the catalogue with the archive and reads every record of it: checksums
// and digests. It may run beside the storage that it checks; what is deleted meanwhile
// may be reported as missing.
func Check(ctx context.Context, cfg Config, opt CheckOptions) (f Findings, err error) {
	c := &checker{bad: map[string]bool{}, opt: opt, f: &f}
	s := &Service{cfg: cfg}
	if cfg.Catalogue == "" {
		if _, err := os.Stat(filepath.Join(cfg.Dir, sqlitestore.FileName)); err != nil {
			return f, crawl.Errorf(crawl.Invalid, "no storage in %s: %w", cfg.Dir, err)
		}
	}
	if s.cat, err = s.openCatalogue(ctx); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.cat.Close()) }()
	if cfg.Archive != "" {
		if s.objects, err = blob.Open(ctx, cfg.Archive); err != nil {
			return f, crawl.Errorf(crawl.Unavailable, "storage.archive: %w", err)
		}
	}
	c.cat = s.cat
	if c.arch, err = archive.Inspect(ctx, archive.Config{Dir: filepath.Join(cfg.Dir, "warc"), Store: s.objects}, slog.New(slog.DiscardHandler)); err != nil {
		return f, err
	}
	// First the pages' end, then the segments' sizes: what comes meanwhile is in neither.
	last, err := s.cat.Last(ctx)
	if err != nil {
		return f, err
	}
	segments, err := s.cat.Segments(ctx)
	if err != nil {
		return f, err
	}
	if err := c.crawls(ctx, segments, last); err != nil {
		return f, err
	}
	// Other storages that share the catalogue and the store have segments of their own.
	if cfg.Catalogue == "" {
		strays, err := c.arch.Strays(ctx, segments)
		if err != nil {
			return f, err
		}
		for _, name := range strays {
			c.say(&f.Orphaned, "orphaned", "%s: the catalogue does not know it", name)
		}
	}
	return f, c.indexes(ctx, segments)
}

// checker is one Check.
type checker struct {
	bad  map[string]bool // segments that are damaged or gone
	opt  CheckOptions
	f    *Findings
	cat  catalogue.Store
	arch *archive.Archive
}

func (c *checker) say(count *uint64, kind, format string, args ...any) {
	*count++
	c.opt.Say(kind, fmt.Sprintf(format, args...))
}

// crawls goes through the segments of each crawl.
func (c *checker) crawls(ctx context.Context, segments []archive.Segment, last uint64) error {
	of := map[string][]archive.Segment{}
	var ids []string
	for _, s := range segments {
		id := archive.CrawlOf(s.File)
		if of[id] == nil {
			ids = append(ids, id)
		}
		of[id] = append(of[id], s)
	}
	for _, id := range ids {
		if err := c.crawl(ctx, id, of[id], last); err != nil {
			return err
		}
	}
	return nil
}

// crawl compares the pages of a crawl with its segments. Both are in the order in which
// they were stored, so that one pass over each is enough, whatever their number.
func (c *checker) crawl(ctx context.Context, id string, segments []archive.Segment, last uint64) error {
	walks := map[int64]*walk{}
	for _, s := range segments {
		walks[s.ID] = &walk{c: c, seg: s, stop: func() {}}
	}
	defer func() {
		for _, w := range walks {
			w.stop()
		}
	}()
	done := 0 // segments[:done] are read to their ends
	finish := func(end int) error {
		for ; done < end; done++ {
			if err := walks[segments[done].ID].finish(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	for after, end := uint64(0), false; !end; {
		a, err := c.cat.Pages(ctx, catalogue.PageQuery{Crawl: id, After: after, Last: last, Limit: rowsPerAnswer})
		if err != nil {
			return err
		}
		for _, p := range a.Pages {
			w := walks[p.Place.Segment]
			if w == nil {
				continue // no record, or another storage's
			}
			// No segment before this one gets further pages.
			if err := finish(max(done, slices.IndexFunc(segments, func(s archive.Segment) bool { return s.ID == w.seg.ID }))); err != nil {
				return err
			}
			if err := w.page(ctx, p); err != nil {
				return err
			}
		}
		after, end = a.Next, a.End
	}
	return finish(len(segments))
}

// indexes looks for those of finished segments.
func (c *checker) indexes(ctx context.Context, segments []archive.Segment) error {
	marked := c.arch.Quarantined()
	for _, s := range segments {
		if !s.Sealed || s.Size == 0 || c.bad[s.File] || marked[s.File] != "" {
			continue // the damage is what counts
		}
		ok, err := c.arch.HasIndex(ctx, s.File)
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		c.say(&c.f.Unindexed, "unindexed", "%s", s.File)
		if !c.opt.Repair {
			continue
		}
		if err := c.arch.Reindex(ctx, s); err != nil {
			return err
		}
		c.f.Repaired++
	}
	return nil
}

// walk is a pass over one segment.
type walk struct {
	c    *checker
	seg  archive.Segment
	next func() (archive.Record, error, bool)
	stop func()
	cur  *archive.Record // read, but not compared yet
	over bool            // there is nothing more to read in order
	bad  bool            // since it is damaged: records are read singly
	gone bool            // it is not there
	lost uint64          // pages of a segment that is not there
}

// advance reads the next record.
func (w *walk) advance(ctx context.Context) error {
	if w.next == nil {
		w.c.f.Segments++
		w.next, w.stop = iter.Pull2(w.c.arch.Verify(ctx, w.seg))
	}
	rec, err, ok := w.next()
	switch {
	case !ok:
		w.over = true
	case crawl.KindOf(err) == crawl.NotFound:
		w.over, w.gone, w.c.bad[w.seg.File] = true, true, true
	case errors.Is(err, warc.ErrFormat):
		w.over, w.bad, w.c.bad[w.seg.File] = true, true, true
		w.c.say(&w.c.f.Corrupt, "corrupt", "%s: %v", w.seg.File, err)
	case err != nil:
		return err
	default:
		w.c.f.Records++
		w.cur = &rec
		if rec.Wrong != "" {
			w.c.say(&w.c.f.Corrupt, "corrupt", "%s at %d: %s: %s", w.seg.File, rec.Offset, rec.URL, rec.Wrong)
		}
	}
	return nil
}

// page compares a page with its record.
func (w *walk) page(ctx context.Context, p *catalogue.Page) error {
	w.c.f.Pages++
	for !w.over && (w.cur == nil || w.cur.Offset < p.Place.Offset) {
		if w.cur != nil {
			w.c.f.Unreferenced++
			w.cur = nil
		}
		if err := w.advance(ctx); err != nil {
			return err
		}
	}
	rec := w.cur
	if w.gone {
		w.lost++
		return nil
	}
	if rec == nil && w.bad {
		one, err := w.c.arch.VerifyAt(ctx, p.Place)
		if err != nil {
			w.c.say(&w.c.f.Missing, "missing", "%s: no whole record in %s at %d: %v", p.CanonicalURL, w.seg.File, p.Place.Offset, err)
			return nil
		}
		rec = &one
	}
	switch {
	case rec == nil || rec.Offset != p.Place.Offset:
		w.c.say(&w.c.f.Missing, "missing", "%s: no record in %s at %d", p.CanonicalURL, w.seg.File, p.Place.Offset)
		return nil
	case rec.URL != archive.Target(p.CanonicalURL):
		w.c.say(&w.c.f.Missing, "missing", "%s: the record in %s at %d is of %s", p.CanonicalURL, w.seg.File, p.Place.Offset, rec.URL)
	case rec.SHA256 != nil && len(p.SHA256) > 0 && !bytes.Equal(rec.SHA256, p.SHA256):
		w.c.say(&w.c.f.Corrupt, "corrupt", "%s: the record in %s at %d has another digest than the page", p.CanonicalURL, w.seg.File, p.Place.Offset)
	}
	w.cur = nil
	return nil
}

// finish reads what is left.
func (w *walk) finish(ctx context.Context) error {
	for !w.over {
		if w.cur != nil {
			w.c.f.Unreferenced++
			w.cur = nil
		}
		if err := w.advance(ctx); err != nil {
			return err
		}
	}
	if w.cur != nil {
		w.c.f.Unreferenced++
		w.cur = nil
	}
	if w.gone && w.seg.Size > 0 {
		w.c.f.Missing += w.lost
		w.c.say(&w.c.f.Gone, "missing", "%s: it is gone, and with it %d pages", w.seg.File, w.lost)
	}
	return nil
}
