// Package pgstore is the catalogue of storages that share a PostgreSQL database.
//
// A batch is one transaction: rows go in by COPY, and at its very end, in one step of
// the server, it takes its cursors under a lock that lasts until the commit. So cursors
// grow in the order of commits and no reader who has passed one misses a row, and a
// storage that stops in the middle holds up nobody: it has no lock that others want
// while it talks to the server. See ADR-0025.
//
// People may look into the database: see the views newest_pages, item_list and media.
package pgstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where and how.
type Config struct {
	// DSN of the database, for example postgres://weir:secret@db/weir. It must exist;
	// tables are made in it when missing.
	DSN string
	// Owner names the storage whose WARC files this store has: no two open stores may
	// have the same. Required.
	Owner string
	// Connections at a time: one writes, the others read. Default 6.
	Connections int
	// Patience is how long the server may be away before a call fails. Default 15 s.
	Patience time.Duration
}

// versionTable is the goose table of this catalogue: the schedulers may have theirs in the
// same database.
const versionTable = "catalogue_version"

// Store is a catalogue.Store.
type Store struct {
	cfg  Config
	pool *pgxpool.Pool
	lock string // the statement that takes this storage's own lock until the transaction ends

	mu     sync.Mutex
	crawls map[string]int32 // numbers of crawls

	// Of the writer.
	batch, batches uint64 // next number, and the end of those that are given
	rows           rows
	unsettled      error // what became of a commit is not known: nothing may follow it
}

var _ catalogue.Store = (*Store)(nil)

// Open connects to a catalogue, and makes it when there is none. It waits, with
// patience, for a server that is not up yet.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Connections <= 0 {
		cfg.Connections = 6
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 15 * time.Second
	}
	pool, err := postgres.Open(ctx, postgres.Config{
		What: "catalogue", DSN: cfg.DSN, Connections: cfg.Connections, Statement: time.Minute, Idle: 10 * time.Second,
	})
	if err != nil {
		return nil, wrap("connect", err)
	}
	sum := sha256.Sum256([]byte("weir storage " + cfg.Owner))
	s := &Store{
		cfg: cfg, pool: pool, crawls: map[string]int32{},
		lock: fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(binary.BigEndian.Uint64(sum[:]))),
	}
	if err := s.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes what is missing.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.retry(ctx, "connect", s.pool.Ping); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		if _, ours := errors.AsType[*crawl.Error](err); ours {
			return err
		}
		return wrap("prepare the tables", err)
	}
	// A commit of a process that was killed may still be under way: what it wrote to
	// its WARC files must not be cut off before it is known what became of it.
	return s.retry(ctx, "wait for a former storage's commit", s.fence)
}

// migrate brings the tables to this version.
func (s *Store) migrate(ctx context.Context) error {
	_, err := Tables().Migrate(ctx, s.pool)
	return err
}

// Tables are those of a catalogue.
func Tables() postgres.Tables {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return postgres.Tables{What: "catalogue", Files: files, Version: versionTable}
}

// Close ends the use of the store; call it when no other method runs.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// Ping reports whether the catalogue can be read.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Last(ctx)
	return err
}

// maxCrawls bounds the map of crawl numbers, which costs one look-up to fill again.
const maxCrawls = 4096

// numberOf returns the number of a crawl, a new one for a crawl not seen yet.
func (s *Store) numberOf(ctx context.Context, id string) (int32, error) {
	s.mu.Lock()
	n, ok := s.crawls[id]
	s.mu.Unlock()
	if ok {
		return n, nil
	}
	if strings.HasPrefix(id, deletedPrefix) {
		return 0, crawl.Errorf(crawl.Invalid, "%q is not the id of a crawl", id)
	}
	// Another storage may add it at the same time; then the second statement finds it.
	err := s.retry(ctx, "add crawl "+id, func(ctx context.Context) error {
		b := &pgx.Batch{}
		b.Queue("INSERT INTO crawls (crawl_id) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM crawls WHERE crawl_id = $1) ON CONFLICT DO NOTHING", id)
		b.Queue("SELECT crawl FROM crawls WHERE crawl_id = $1", id).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return s.pool.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.crawls) >= maxCrawls {
		clear(s.crawls)
	}
	s.crawls[id] = n
	return n, nil
}

// forget empties the map of crawl numbers: some may be those of deleted crawls.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.crawls)
}
