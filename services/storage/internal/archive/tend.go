package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/warc"
)

// Tend finishes the segments that were rolled, after rolling those that are old: each
// is made whole, gets its index and is sealed. One that cannot be finished is tried
// again the next time. To be called now and then; it returns the number of segments
// that it finished.
func (a *Archive) Tend(ctx context.Context, now time.Time) (int, error) {
	if err := a.tidyUp(ctx); err != nil {
		return 0, a.wrap("tidy up after sealed segments", err)
	}
	a.mu.Lock()
	for of, s := range a.open {
		if !s.unsettled() && a.full(s, now) {
			delete(a.open, of)
			a.rolled = append(a.rolled, s)
		}
	}
	work := a.rolled
	a.rolled = nil
	a.mu.Unlock()
	var errs []error
	n := 0
	for _, s := range work {
		err := ctx.Err()
		if err == nil {
			err = a.finish(ctx, s)
		}
		if err == nil {
			n++
			continue
		}
		errs = append(errs, a.wrap("finish "+s.File, err))
		a.mu.Lock()
		a.rolled = append(a.rolled, s)
		a.mu.Unlock()
	}
	return n, errors.Join(errs...)
}

// tidyUp does what a crash kept an earlier run from doing after it sealed a segment.
func (a *Archive) tidyUp(ctx context.Context) error {
	if len(a.sealed) == 0 {
		return nil
	}
	left, err := a.shelf.unfinished(ctx)
	if err != nil {
		return err
	}
	for _, file := range left {
		if !a.sealed[file] {
			continue // open, or another storage's
		}
		if err := a.shelf.tidy(ctx, file); err != nil {
			return err
		}
	}
	a.sealed = nil
	return nil
}

// finish makes a rolled segment whole, indexes and seals it.
func (a *Archive) finish(ctx context.Context, s *segment) error {
	if s.drop {
		return a.idx.SealSegment(ctx, s.ID) // Remove takes it as it is
	}
	if s.Size > 0 {
		if err := a.index(ctx, s); err != nil {
			return err
		}
	}
	if err := a.idx.SealSegment(ctx, s.ID); err != nil {
		return err
	}
	if s.Size == 0 {
		return a.shelf.remove(ctx, s.File)
	}
	return a.shelf.tidy(ctx, s.File)
}

// index merges a segment and writes its index. What is damaged has no index.
func (a *Archive) index(ctx context.Context, s *segment) error {
	whole, err := a.shelf.finish(ctx, s.File, s.Size)
	if err != nil {
		return err
	}
	defer whole.Close()
	lines := newSorter(a.cfg.Dir)
	defer lines.close()
	r := warc.NewReader(whole)
	var line []byte
	for {
		h, err := r.Skim()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, warc.ErrFormat) {
			a.mark(ctx, s.File, err.Error())
			return nil
		}
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		var ok bool
		if line, ok = warc.AppendCDXJ(line[:0], h, s.File); !ok {
			continue
		}
		if err := lines.add(line); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	sorted, size, err := lines.sorted()
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return a.shelf.put(ctx, IndexOf(s.File), sorted, size)
}

// IndexOpen writes the indexes of segments that are open, as far as they go, where that
// is cheap: for a program that ends with its crawl, whose files are then whole. A
// later Tend makes them anew.
func (a *Archive) IndexOpen(ctx context.Context) error {
	if a.cfg.Store != nil {
		return nil
	}
	a.mu.Lock()
	var list []*segment
	for _, s := range a.open {
		if !s.unsettled() && s.Size > 0 {
			list = append(list, s)
		}
	}
	a.mu.Unlock()
	for _, s := range list {
		if err := firstOf(ctx.Err(), a.index(ctx, s)); err != nil {
			return a.wrap("index "+s.File, err)
		}
	}
	return nil
}

// IndexOf is the name of a segment's index.
func IndexOf(file string) string { return strings.TrimSuffix(file, extension) + ".cdxj" }

// Drop rolls the open segment of a crawl that is deleted, so that it can be removed.
// Nothing more is done for its segments than to seal them. One that is written to at
// the moment is rolled when it is old.
func (a *Archive) Drop(crawlID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := nameOf(crawlID)
	if s := a.open[of]; s != nil && !s.busy {
		delete(a.open, of)
		a.rolled = append(a.rolled, s)
	}
	for _, s := range a.rolled {
		s.drop = s.drop || crawlOf(s.File) == of
	}
}

// Remove deletes a sealed segment and what is beside it.
func (a *Archive) Remove(ctx context.Context, file string) error {
	for _, name := range []string{IndexOf(file), file, marksPrefix + file + ".txt"} {
		if err := a.shelf.remove(ctx, name); err != nil {
			return a.wrap("remove "+name, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.marked, file)
	return nil
}

// sortDir is where what is sorted goes; it is made for the time.
func sortDir(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return os.MkdirTemp(dir, "sort-*"+temporary)
}
