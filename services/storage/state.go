package storage

import (
	"context"

	"github.com/weircrawl/weir/internal/disk"
)

// State is what a storage does at a moment, for people.
type State struct {
	// Paused is why nothing is committed; empty: it is.
	Paused string `json:"paused,omitempty"`
	// FreeBytes for the data directory, 0 where they are not known.
	FreeBytes uint64 `json:"free_bytes"`
	// MinFree is the setting storage.min-free.
	MinFree int64 `json:"min_free_bytes"`
	// Exports under way.
	Exports int `json:"exports"`
	// SharedCatalogue is a database, and Objects an object store.
	SharedCatalogue bool `json:"shared_catalogue"`
	Objects         bool `json:"objects"`
}

// State returns what the storage does, as a State.
func (s *Service) State(context.Context) any {
	out := State{
		Paused: s.space.why(), MinFree: s.cfg.MinFree, Exports: len(s.exports), SharedCatalogue: s.cfg.Catalogue != "", Objects: s.objects != nil,
	}
	if free, err := disk.Free(s.cfg.Dir); err == nil {
		out.FreeBytes = free
	}
	return out
}
