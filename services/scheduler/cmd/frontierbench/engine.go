package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/pebblestore"
)

// engine is a kind of store.
type engine interface {
	// open opens the store, made when missing.
	open(ctx context.Context) (frontier.Store, error)
	// compact makes an open store as small as it gets.
	compact(ctx context.Context, s frontier.Store) error
	// size on disk in bytes.
	size(ctx context.Context) (int64, error)
	// serverCPU is what a server of the store has used so far.
	serverCPU() (time.Duration, error)
	// remove deletes the store.
	remove(ctx context.Context) error
}

// pebbleEngine is a Pebble store in a folder.
type pebbleEngine struct {
	dir        string
	partitions uint32
	cache      int64
}

func (e pebbleEngine) open(context.Context) (frontier.Store, error) {
	cfg := pebblestore.DefaultConfig()
	cfg.Dir, cfg.Partitions = e.dir, e.partitions
	if e.cache > 0 {
		cfg.CacheBytes = e.cache
	}
	return pebblestore.Open(cfg)
}

func (e pebbleEngine) compact(ctx context.Context, s frontier.Store) error {
	return s.(*pebblestore.Store).Compact(ctx)
}

func (e pebbleEngine) size(context.Context) (int64, error) {
	var sum int64
	err := filepath.WalkDir(e.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a file that was replaced meanwhile
		}
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

func (pebbleEngine) serverCPU() (time.Duration, error) { return 0, nil }

func (e pebbleEngine) remove(context.Context) error { return os.RemoveAll(e.dir) }
