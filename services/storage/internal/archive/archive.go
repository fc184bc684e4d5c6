package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// Index remembers which segments there are. Its methods are durable on return.
type Index interface {
	// AddSegment makes a segment known before it is created, and sets its ID.
	AddSegment(ctx context.Context, s *Segment) error
	// SealSegment marks a segment as finished.
	SealSegment(ctx context.Context, id int64) error
}

// Config of an archive.
type Config struct {
	// Dir is the folder of the files, where there is no Store; and of what is sorted.
	Dir string
	// Store takes the place of the folder. The caller owns it.
	Store blob.Store
	// MaxSize in bytes after which a segment is finished; a batch may pass it.
	MaxSize int64
	// MaxAge after which a segment is finished.
	MaxAge time.Duration
	// Suffix makes names of segments unique among machines: [a-z0-9]+.
	Suffix string
	// Owner is who writes here, [a-z0-9-]+, and Last how far its catalogue is: one that
	// was further before is recognised. Empty for nobody who could be.
	Owner string
	Last  uint64
	// Software is the name and version in the segments' warcinfo record.
	Software string
}

// parallel bounds the segments that are written at a time. Syncing several files of a
// disk together costs little more than syncing one: the journal takes them together.
const parallel = 16

// Archive is an open archive. Append and Keep are for one goroutine and Tend for
// another, everything else is safe for concurrent use.
type Archive struct {
	cfg   Config
	idx   Index
	log   *slog.Logger
	shelf shelf

	mu     sync.Mutex
	open   map[string]*segment // by crawl, as names have it
	rolled []*segment          // to be finished
	marked map[string]string   // quarantined segments, and why

	// older: the catalogue is older than the archive. told is how far it was said to be, and
	// toldAt when.
	older  bool
	told   uint64
	toldAt time.Time

	sealed map[string]bool // those of earlier runs, until Tend has tidied up after them

	// Of Append.
	enc  *warc.Encoder
	buf  []byte
	head []byte
}

// segment is one that is appended to. Its fields are Append's while it is busy.
type segment struct {
	Segment
	end   int64 // of what is written, what is not kept yet included
	dirty bool  // a write failed: the end is not known
	busy  bool  // between Append and Keep
	drop  bool  // its crawl is deleted
	info  warc.ID
}

// Open opens the archive and cuts off what the index does not know of. segments is
// all that the index knows of this archive.
func Open(ctx context.Context, cfg Config, idx Index, segments []Segment, log *slog.Logger) (*Archive, error) {
	a := &Archive{cfg: cfg, idx: idx, log: log, enc: warc.NewEncoder(), open: map[string]*segment{}, marked: map[string]string{}}
	if cfg.Store != nil {
		a.shelf = newObjects(cfg.Store)
	} else {
		var err error
		if a.shelf, err = newFiles(cfg.Dir); err != nil {
			return nil, err
		}
	}
	if err := a.loadMarks(ctx); err != nil {
		return nil, a.wrap("read the marks of damaged segments", err)
	}
	if err := a.loadNewest(ctx); err != nil {
		return nil, a.wrap("find out how far the catalogue was", err)
	}
	found, whole := make([]*segment, len(segments)), make([]bool, len(segments))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	a.sealed = map[string]bool{}
	for i, s := range segments {
		if s.Sealed {
			if cfg.Store != nil {
				a.sealed[s.File] = true
			}
			continue
		}
		g.Go(func() (err error) {
			found[i], whole[i], err = a.reopen(gctx, s)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	for i, s := range found {
		if s != nil {
			a.goOn(s, whole[i])
		}
	}
	return a, nil
}

// goOn takes up a segment of an earlier run. Only the last one of a crawl is appended
// to, unless it was made whole already.
func (a *Archive) goOn(s *segment, whole bool) {
	of := crawlOf(s.File)
	if older := a.open[of]; older != nil {
		a.rolled = append(a.rolled, older)
		delete(a.open, of)
	}
	if whole {
		a.rolled = append(a.rolled, s)
		return
	}
	a.open[of] = s
}

// reopen prepares a segment to go on; nil for one that nothing may be appended to.
func (a *Archive) reopen(ctx context.Context, known Segment) (s *segment, whole bool, err error) {
	s = newSegment(known)
	if s.end, whole, err = a.shelf.open(ctx, s.File); err != nil {
		return nil, false, a.wrap("open "+s.File, err)
	}
	switch {
	case s.end > s.Size && whole:
		// Only a catalogue of before it was finished can know less of it.
		a.log.Warn("archive segment was finished after the catalogue's time", "file", s.File, "size", s.end, "known", s.Size)
		return nil, false, a.idx.SealSegment(ctx, s.ID)
	case s.end > s.Size && a.older:
		if err := a.setAside(ctx, s); err != nil {
			return nil, false, a.wrap("set the tail of "+s.File+" aside", err)
		}
		return s, false, a.wrap("cut "+s.File, a.cutBack(ctx, s))
	case s.end > s.Size:
		a.log.Info("archive segment has a tail that was never committed; cut off", "file", s.File, "size", s.end, "committed", s.Size)
		return s, false, a.wrap("cut "+s.File, a.cutBack(ctx, s))
	case s.end < s.Size:
		// What was synced is gone: somebody else changed it. Its whole records can still be
		// read; nothing may be appended at offsets that are in use.
		a.mark(ctx, s.File, fmt.Sprintf("it has %d bytes, %d were committed", s.end, s.Size))
		return nil, false, a.idx.SealSegment(ctx, s.ID)
	}
	return s, whole, nil
}

func newSegment(known Segment) *segment {
	sum := sha256.Sum256([]byte(known.File))
	return &segment{Segment: known, info: NewID(sum[:])}
}

// Close ends the use of the files. Segments that are open go on with the next Open.
func (a *Archive) Close() error {
	if a.shelf == nil {
		return nil
	}
	return a.shelf.close()
}

// Result says what Append did.
type Result struct {
	// Sizes of the segments with the records, by number, to be committed.
	Sizes map[int64]int64
	// Places of the response records.
	Places []Place
	// Bytes that each exchange takes, all its records included.
	Bytes []int64

	grown []*segment
}

// Append writes the exchanges behind what was kept last, and what it wrote is durable
// on return. The records count only after the index has committed Result.Sizes and
// Keep was called. On an error nothing is left behind for good.
func (a *Archive) Append(ctx context.Context, now time.Time, xs []*Exchange) (*Result, error) {
	r := &Result{Sizes: map[int64]int64{}, Places: make([]Place, len(xs)), Bytes: make([]int64, len(xs))}
	batch := &batch{a: a, now: now, result: r}
	for i, x := range xs {
		s := batch.of(x.Crawl)
		if s == nil {
			known, err := a.ready(ctx, now, x.Crawl)
			if err != nil {
				a.giveBack(ctx, r.grown)
				return nil, err
			}
			r.grown = append(r.grown, known)
			s = batch.add(x.Crawl, known)
		}
		s.places = append(s.places, i)
	}
	if err := batch.write(ctx, xs); err != nil {
		a.giveBack(ctx, r.grown)
		return nil, err
	}
	return r, nil
}

// Keep makes the last Append part of the archive: to be called when its sizes have
// been committed.
func (a *Archive) Keep(r *Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range r.grown {
		s.Size, s.busy = r.Sizes[s.ID], false
	}
}

// ready makes a segment of a crawl one that ends where the archive ends, and busy.
func (a *Archive) ready(ctx context.Context, now time.Time, crawlID string) (*segment, error) {
	of := nameOf(crawlID)
	a.mu.Lock()
	s := a.open[of]
	if s != nil && !s.unsettled() && a.full(s, now) {
		delete(a.open, of)
		a.rolled = append(a.rolled, s)
		s = nil
	}
	if s != nil {
		s.busy = true
	}
	a.mu.Unlock()
	if s != nil {
		if s.dirty || s.end != s.Size {
			if err := a.cutBack(ctx, s); err != nil {
				return nil, a.wrap("cut "+s.File, err)
			}
		}
		return s, nil
	}
	known := Segment{OpenedAt: now, File: fmt.Sprintf("%s-%s-%s%s", of, now.UTC().Format("20060102T150405.000000"), a.cfg.Suffix, extension)}
	if err := a.idx.AddSegment(ctx, &known); err != nil {
		return nil, err
	}
	s = newSegment(known)
	s.busy = true
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[of] = s
	return s, nil
}

// unsettled reports whether what was written may be more than what was kept.
func (s *segment) unsettled() bool { return s.busy || s.dirty || s.end != s.Size }

func (a *Archive) full(s *segment, now time.Time) bool {
	return s.Size > 0 && (s.Size >= a.cfg.MaxSize || now.Sub(s.OpenedAt) >= a.cfg.MaxAge)
}

// giveBack takes away what a broken batch wrote, so that its space is free at once;
// where that fails the next Append does it.
func (a *Archive) giveBack(ctx context.Context, grown []*segment) {
	for _, s := range grown {
		if s.dirty || s.end != s.Size {
			if err := a.cutBack(context.WithoutCancel(ctx), s); err != nil {
				s.dirty = true
				a.log.Warn("cut archive segment back", "file", s.File, "err", err)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range grown {
		s.busy = false
	}
}

// cutBack shortens a segment to what was kept.
func (a *Archive) cutBack(ctx context.Context, s *segment) error {
	if err := a.shelf.cut(ctx, s.File, s.Size); err != nil {
		return err
	}
	s.end, s.dirty = s.Size, false
	return nil
}

// lose gives up a segment that somebody else appends to.
func (a *Archive) lose(s *segment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of := crawlOf(s.File); a.open[of] == s {
		delete(a.open, of)
	}
	a.log.Error("archive segment is written by another process too; left to it", "file", s.File)
}

// extension of segments.
const extension = ".warc.gz"

// nameOf is what names of segments have for a crawl: its id, where that is a plain
// word.
func nameOf(crawlID string) string {
	plain := crawlID != "" && len(crawlID) <= 64
	for i := range len(crawlID) {
		c := crawlID[i]
		plain = plain && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9')
	}
	if plain {
		return crawlID
	}
	sum := sha256.Sum256([]byte(crawlID))
	return "crawl" + hex.EncodeToString(sum[:10])
}

// PrefixOf is what the names of a crawl's segments begin with, and no others.
func PrefixOf(crawlID string) string { return nameOf(crawlID) + "-" }

// crawlOf is the crawl in the name of a segment.
func crawlOf(file string) string {
	of, _, _ := strings.Cut(file, "-")
	return of
}

// wrap gives an error of the disk or the store its kind: not the message's fault.
func (a *Archive) wrap(doing string, err error) error {
	if err == nil || crawl.KindOf(err) != crawl.Internal || errors.Is(err, context.Canceled) {
		return err
	}
	if NoSpace(err) {
		return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s: %w)", a.shelf, doing, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return crawl.Errorf(crawl.NotFound, "archive in %s: %s: %w", a.shelf, doing, err)
	}
	return crawl.Errorf(crawl.Unavailable, "archive in %s: %s: %w", a.shelf, doing, err)
}

// NoSpace reports whether a write failed for want of space: a full disk, a quota
// or a limit on file sizes.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// NewID makes a UUID (version 8: made by its maker's rules) of 16 bytes or more
// that are unique, such as a hash. Its last bit is clear: see Exchange.ID.
func NewID(hash []byte) warc.ID {
	var id warc.ID
	copy(id[:], hash)
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	id[15] &^= 1
	return id
}
