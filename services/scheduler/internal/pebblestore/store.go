// Package pebblestore keeps a frontier in Pebble, inside a data directory: the
// store of a scheduler that runs alone.
package pebblestore

import (
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// Config says where and how.
type Config struct {
	// Dir of the store; made when missing.
	Dir string
	// Partitions of a new store; an existing one must have as many.
	Partitions uint32
	// CacheBytes for blocks, memtables included, which are taken from it.
	CacheBytes int64
	// MemTableBytes of one memtable.
	MemTableBytes uint64
	// SeenEntries of the cache of URLs that are surely known, 8 bytes each.
	SeenEntries int
}

// DefaultConfig returns values for a laptop.
func DefaultConfig() Config {
	return Config{Partitions: 1, CacheBytes: 64 << 20, MemTableBytes: 16 << 20, SeenEntries: 1 << 20}
}

// Open opens or creates a store.
func Open(cfg Config) (frontier.Store, error) { return nil, nil }
