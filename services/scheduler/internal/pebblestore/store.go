// Package pebblestore keeps a frontier in Pebble, inside a data directory: the
// store of a scheduler that runs alone.
//
// One partition is one contiguous range of keys (see keys.go). A batch of the
// frontier is one Pebble batch: visible at once, durable after the fsync that
// Commit.Wait waits for, which several batches share.
//
// Pebble ends the process when it cannot write. Here that becomes an error of
// kind crawl.Unavailable from every later call (see fatal.go).
package pebblestore

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
	"github.com/weircrawl/weir/services/scheduler/internal/seen"
)

// format is the version of keys and values. A store of another one is refused.
const format = 2

// Config says where and how.
type Config struct {
	// Dir of the store; made when missing.
	Dir string
	// Partitions of a new store; an existing one must have as many. Default 1.
	Partitions uint32
	// CacheBytes for blocks, memtables included, which are taken from it; raised to
	// twice the memtables. Default 64 MiB.
	CacheBytes int64
	// MemTableBytes of one memtable; there are at most three, and the collector counts
	// them like all memory. Default 4 MiB.
	MemTableBytes uint64
	// SeenEntries of the cache of URLs that are surely known, 16 bytes each. Default
	// 1 Mi, which answers some 80 % of a crawl's questions.
	SeenEntries int
	// Log takes Pebble's complaints; nil for none.
	Log *slog.Logger
	// FS to use; nil for the disk.
	FS vfs.FS
}

// DefaultConfig returns values for a laptop.
func DefaultConfig() Config {
	return Config{Partitions: 1, CacheBytes: 64 << 20, MemTableBytes: 4 << 20, SeenEntries: 1 << 20}
}

// Store is a frontier.Store. It holds a lock on its directory.
type Store struct {
	cfg   Config
	db    *pebble.DB
	lock  *pebble.Lock
	fatal *fatal
	seen  *seen.Cache
	due   *due.Times

	held    []atomic.Bool   // by partition
	touched rows.Partitions // of Apply
	numbers sync.Mutex      // held while a run or crawl gets its number

	applies sync.WaitGroup // writes under way, which Close waits for
}

var _ frontier.Store = (*Store)(nil)

// Open opens or creates a store.
func Open(cfg Config) (*Store, error) {
	def := DefaultConfig()
	if cfg.Partitions == 0 {
		cfg.Partitions = def.Partitions
	}
	if cfg.Partitions > global {
		return nil, crawl.Errorf(crawl.Invalid, "frontier store: %d partitions are more than %d", cfg.Partitions, global)
	}
	if cfg.MemTableBytes == 0 {
		cfg.MemTableBytes = def.MemTableBytes
	}
	if cfg.SeenEntries <= 0 {
		cfg.SeenEntries = def.SeenEntries
	}
	// Memtables are taken from the cache: without room beyond them nothing would be
	// cached at all.
	cfg.CacheBytes = max(cfg.CacheBytes, 2*memTables*int64(cfg.MemTableBytes))
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if err := cfg.FS.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, crawl.Errorf(crawl.Unavailable, "make frontier store: %w", err)
	}
	s := &Store{
		cfg: cfg, fatal: newFatal(cfg.Dir, cfg.Log),
		seen: seen.NewCache(cfg.SeenEntries), due: due.NewTimes(), held: make([]atomic.Bool, cfg.Partitions),
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.checkMeta(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens the database, with an error that says what to do.
func (s *Store) open() error {
	lock, err := pebble.LockDirectory(s.cfg.Dir, s.cfg.FS)
	if err != nil {
		return crawl.Errorf(crawl.Unavailable, "lock frontier store: %w: is another weir using %s?", err, s.cfg.Dir)
	}
	opts := options(s.cfg, s.fatal)
	s.lock, opts.Lock = lock, lock
	err = s.fatal.guard(func() (err error) {
		s.db, err = pebble.Open(s.cfg.Dir, opts)
		return err
	})
	opts.Cache.Unref() // the database holds its own reference
	if err != nil {
		return errors.Join(crawl.Errorf(crawl.Unavailable, "open frontier store %s: %w", s.cfg.Dir, err), lock.Close())
	}
	return nil
}

// checkMeta writes the facts of a new store and compares those of an old one.
func (s *Store) checkMeta() error {
	found, err := s.number(metaKey(metaFormat))
	if err != nil {
		return err
	}
	if found == 0 {
		b := s.db.NewBatch()
		defer b.Close()
		if err := errors.Join(setNumber(b, metaKey(metaFormat), format), setNumber(b, metaKey(metaPartitions), uint64(s.cfg.Partitions))); err != nil {
			return err
		}
		return s.fatal.wrap("create", s.write(b))
	}
	if found != format {
		return crawl.Errorf(crawl.Precondition, "frontier store %s has format %d, this version reads %d: use the version that made it, or another folder", s.cfg.Dir, found, format)
	}
	parts, err := s.number(metaKey(metaPartitions))
	if err != nil {
		return err
	}
	if parts != uint64(s.cfg.Partitions) {
		return crawl.Errorf(crawl.Precondition, "frontier store %s has %d partitions, the configuration says %d; "+
			"the number is fixed when a store is created", s.cfg.Dir, parts, s.cfg.Partitions)
	}
	return nil
}

// write commits a batch durably.
func (s *Store) write(b *pebble.Batch) error {
	s.applies.Add(1)
	return s.fatal.guard(func() error {
		defer s.applies.Done()
		return s.db.Apply(b, pebble.Sync)
	})
}

// Close ends the use of the store; call it when no other method runs.
func (s *Store) Close() error {
	if err := s.fatal.err(); err != nil {
		return s.lock.Close() // reported before; a broken database may hang when closed
	}
	s.applies.Wait()
	return s.fatal.wrap("close", errors.Join(s.fatal.guard(s.db.Close), s.lock.Close()))
}
