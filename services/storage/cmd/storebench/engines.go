package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
	"github.com/weircrawl/weir/services/storage/internal/pgstore"
	"github.com/weircrawl/weir/services/storage/internal/sqlitestore"
)

// engine is something that pages are put into.
type engine interface {
	// name for the report; server: it has a server of its own.
	name() string
	server() bool
	// store stores a batch; durable on return.
	store(ctx context.Context, b *batch) error
	close() error
}

// store is a catalogue: which attempts are known, then the commit, as the service does.
type store struct {
	catalogue.Store
	title    string
	ofServer bool
	segment  int64
}

func (s *store) name() string { return s.title }
func (s *store) server() bool { return s.ofServer }
func (s *store) close() error { return s.Close() }

func (s *store) store(ctx context.Context, b *batch) error {
	keys := make([]catalogue.Key, len(b.pages))
	for i, p := range b.pages {
		keys[i] = p.Key
		p.Place.Segment = s.segment
	}
	known, err := s.Known(ctx, keys)
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.State != catalogue.Unknown {
			return errors.New("a page is known already")
		}
	}
	last := b.pages[len(b.pages)-1].Place
	return s.Commit(ctx, &catalogue.Batch{Pages: b.pages, Sizes: map[int64]int64{s.segment: last.Offset + last.Length}, ArchiveBytes: map[string]int64{crawlID: 1000}})
}

func newStore(ctx context.Context, s catalogue.Store, title string, ofServer bool) (engine, error) {
	seg := archive.Segment{File: "a.warc.gz", OpenedAt: when}
	if err := s.AddSegment(ctx, &seg); err != nil {
		return nil, err
	}
	return &store{s, title, ofServer, seg.ID}, nil
}

func openSQLite(ctx context.Context, dir string) (engine, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := sqlitestore.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	return newStore(ctx, s, "catalogue in SQLite", false)
}

func openPostgres(ctx context.Context, server *postgres) (engine, error) {
	s, err := pgstore.Open(ctx, pgstore.Config{DSN: server.dsn, Owner: "bench"})
	if err != nil {
		return nil, err
	}
	return newStore(ctx, s, "catalogue in PostgreSQL", true)
}

// archiveName is the case that has no rows.
const archiveName = "WARC files"

// warcs is the archive, whose batches count as committed at once.
type warcs struct{ *archive.Archive }

func (w *warcs) name() string { return archiveName }
func (w *warcs) server() bool { return false }
func (w *warcs) close() error { return w.Close() }

func (w *warcs) store(ctx context.Context, b *batch) error {
	r, err := w.Append(ctx, when, b.exchanges)
	if err == nil {
		w.Keep(r)
	}
	return err
}

// noIndex is an index that forgets.
type noIndex struct{ n int64 }

func (i *noIndex) AddSegment(_ context.Context, s *archive.Segment) error {
	i.n++
	s.ID = i.n
	return nil
}

func (i *noIndex) SealSegment(context.Context, int64) error { return nil }

func openArchive(ctx context.Context, dir string) (engine, error) {
	a, err := archive.Open(ctx, archive.Config{Dir: dir, MaxSize: 1 << 30, MaxAge: 1 << 62, Suffix: "bench", Software: "Weir"}, &noIndex{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &warcs{a}, nil
}
