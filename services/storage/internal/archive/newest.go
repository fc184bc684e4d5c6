package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// A catalogue that was restored from a backup is older than the archive: what was
// committed after the backup looks to it like the tail of a batch that was not. Such
// tails must not be cut off as if nobody missed them. So the archive is told now and
// then how far the catalogue is; one that is not that far any more was restored.

const (
	// newestPrefix is where it is kept, for each storage.
	newestPrefix = "newest/"
	// asidePrefix is where tails go that an older catalogue does not know.
	asidePrefix = "aside/"
	// rememberEvery is how often it is written, at most: a server that loses its last
	// seconds in a failover is not taken for one that was restored.
	rememberEvery = 5 * time.Minute
)

func (a *Archive) newestName() string { return newestPrefix + a.cfg.Owner + ".txt" }

// loadNewest finds out whether the catalogue is older than the archive.
func (a *Archive) loadNewest(ctx context.Context) error {
	if a.cfg.Owner == "" {
		return nil
	}
	r, err := a.shelf.read(ctx, a.newestName(), 0, noteSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	note, err := io.ReadAll(r)
	if err := firstOf(err, r.Close()); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read %s: %w", a.newestName(), err)
	}
	told, err := strconv.ParseUint(strings.TrimSpace(string(note)), 10, 64)
	if err != nil {
		return nil // not ours to judge: it is written anew
	}
	a.told = told
	if a.older = told > a.cfg.Last; a.older {
		a.log.Error("the catalogue is older than the archive: was it restored from a backup? Archived records that it does not know are kept below "+asidePrefix,
			"catalogue", a.cfg.Last, "archive", told)
	}
	return nil
}

// Remember notes that the catalogue has come as far as last, unless that was noted a few
// minutes ago; with always it is noted all the same. One goroutine at a time.
func (a *Archive) Remember(ctx context.Context, now time.Time, last uint64, always bool) error {
	if a.cfg.Owner == "" || last == a.told || !always && now.Sub(a.toldAt) < rememberEvery {
		return nil
	}
	note := strconv.FormatUint(last, 10) + "\n"
	if err := a.shelf.put(ctx, a.newestName(), strings.NewReader(note), int64(len(note))); err != nil {
		return a.wrap("note how far the catalogue is", err)
	}
	a.told, a.toldAt = last, now
	return nil
}

// setAside copies what a segment has beyond what is known of it.
func (a *Archive) setAside(ctx context.Context, s *segment) error {
	name := fmt.Sprintf("%s%s-from-%d%s", asidePrefix, strings.TrimSuffix(s.File, extension), s.Size, extension)
	length := s.end - s.Size
	r, err := a.shelf.read(ctx, s.File, s.Size, length)
	if err != nil {
		return err
	}
	err = a.shelf.put(ctx, name, r, length)
	if err := firstOf(err, r.Close()); err != nil {
		return err
	}
	a.log.Warn("records that the catalogue does not know are set aside", "file", name, "bytes", length)
	return nil
}
