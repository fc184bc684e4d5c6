// Package sqlstore keeps a frontier in PostgreSQL, or what speaks its language: the
// store of schedulers that share their work.
//
// A batch of the frontier is one transaction. It begins by locking the epochs of the
// partitions that it writes against change, so that whoever lost one writes nothing.
// Rows go in and out by arrays, some ten statements for any number of them, in one
// round trip.
//
// What is said often is portable: CockroachDB and YugabyteDB understand it too.
package sqlstore

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
	"github.com/weircrawl/weir/services/scheduler/internal/seen"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where and how.
type Config struct {
	// DSN of the database, for example postgres://weir:secret@db/weir. It must exist;
	// tables are made in it when missing.
	DSN string
	// Partitions of a new store; an existing one must have as many. Default 64.
	Partitions uint32
	// Connections at a time: one writes, the others read. Default 6.
	Connections int
	// SeenEntries of the cache of URLs that are surely known, 16 bytes each. Default
	// 512 Ki, which answers some 80 % of a crawl's questions.
	SeenEntries int
	// Patience is how long the server may be away before a call fails. Default 15 s.
	Patience time.Duration
}

// DefaultConfig returns values for everything but the DSN.
func DefaultConfig() Config {
	return Config{Partitions: 64, Connections: 6, SeenEntries: 512 << 10, Patience: 15 * time.Second}
}

// Store is a frontier.Store.
type Store struct {
	cfg  Config
	pool *pgxpool.Pool
	seen *seen.Cache
	due  *due.Times

	mu   sync.Mutex
	held map[uint32]int64 // epochs of the partitions held
	run  int32            // number of this run, 0 before Begin

	// For Apply alone.
	writer  writer
	applied int64 // batches written in this run
	broken  error // why no batch can follow
}

var _ frontier.Store = (*Store)(nil)

// maxPartitions bounds the partitions of a store.
const maxPartitions = 1 << 16

// Open connects to a store, and makes it when there is none. It waits, with
// patience, for a server that is not up yet.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	def := DefaultConfig()
	if cfg.Partitions == 0 {
		cfg.Partitions = def.Partitions
	}
	if cfg.Partitions > maxPartitions {
		return nil, crawl.Errorf(crawl.Invalid, "frontier store: %d partitions are more than %d", cfg.Partitions, maxPartitions)
	}
	if cfg.Connections <= 0 {
		cfg.Connections = def.Connections
	}
	if cfg.SeenEntries <= 0 {
		cfg.SeenEntries = def.SeenEntries
	}
	if cfg.Patience <= 0 {
		cfg.Patience = def.Patience
	}
	pool, err := postgres.Open(ctx, postgres.Config{
		What: "frontier store", DSN: cfg.DSN, Connections: cfg.Connections, Statement: 30 * time.Second, Idle: 3 * time.Second,
	})
	if err != nil {
		return nil, wrap("connect", err)
	}
	s := &Store{cfg: cfg, pool: pool, seen: seen.NewCache(cfg.SeenEntries), due: due.NewTimes(), held: make(map[uint32]int64)}
	if err := s.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes what is missing and checks the rest.
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
	return s.retry(ctx, "check partitions", s.checkPartitions)
}

// migrate brings the tables to this version.
func (s *Store) migrate(ctx context.Context) error {
	_, err := Tables().Migrate(ctx, s.pool)
	return err
}

// Tables are those of a store.
func Tables() postgres.Tables {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return postgres.Tables{What: "frontier store", Files: files}
}

// checkPartitions writes the number of partitions of a new store and compares that
// of an old one.
func (s *Store) checkPartitions(ctx context.Context) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer rollback(tx)
	if _, err := tx.Exec(ctx, `INSERT INTO fact (name, value) VALUES ('partitions', $1), ('run', 0), ('crawl', 0)
		ON CONFLICT (name) DO NOTHING`, int64(s.cfg.Partitions)); err != nil {
		return err
	}
	var found int64
	if err := tx.QueryRow(ctx, "SELECT value FROM fact WHERE name = 'partitions'").Scan(&found); err != nil {
		return err
	}
	if found != int64(s.cfg.Partitions) {
		return crawl.Errorf(crawl.Precondition, "frontier store has %d partitions, the configuration says %d; "+
			"the number is fixed when a store is created", found, s.cfg.Partitions)
	}
	ids := make([]int32, s.cfg.Partitions)
	for i := range ids {
		ids[i] = int32(i)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO part (id, epoch, seq) SELECT id, 0, 0 FROM unnest($1::int[]) AS t(id) ON CONFLICT (id) DO NOTHING", ids); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// rollback ends a transaction that was not committed.
func rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // after a commit it does nothing; else the pool drops the connection
}

// Close ends the use of the store; call it when no other method runs.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// signed is a 64-bit number as kept: it sorts as it did without a sign.
func signed(n uint64) int64 { return int64(n ^ 1<<63) }

// unsigned is the reverse of signed.
func unsigned(n int64) uint64 { return uint64(n) ^ 1<<63 }

// ref is a URL's identity as read.
func ref(part, no int32, host int64, key []byte) (frontier.Ref, error) {
	r := frontier.Ref{Partition: uint32(part), Crawl: frontier.CrawlNo(no), Host: unsigned(host)}
	if len(key) != len(r.Key) {
		return r, rows.ErrCorrupt
	}
	copy(r.Key[:], key)
	return r, nil
}
