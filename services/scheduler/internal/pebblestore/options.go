package pebblestore

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// memTables that may wait for being flushed before writes stall.
const memTables = 3

// options of the database. Its cache must be unreferenced after Open.
func options(cfg Config, f *fatal) *pebble.Options {
	o := &pebble.Options{
		FS:                          cfg.FS,
		Cache:                       pebble.NewCache(cfg.CacheBytes),
		FormatMajorVersion:          pebble.FormatColumnarBlocks,
		MemTableSize:                cfg.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                1000,
		Logger:                      f,
		EventListener:               f.events(),
	}
	// Fast below, small above: most reads hit the cache or the upper levels.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 8 << 10
		// Most questions are about URLs that are new: the filter answers them without
		// reading a block.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}
