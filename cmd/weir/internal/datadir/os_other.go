//go:build !unix

package datadir

import (
	"math"
	"os"
)

// lock does nothing here: the stores have locks of their own, whose errors are
// less plain.
func lock(*os.File) error { return nil }

func unlock(*os.File) error { return nil }

// freeBytes is not known here; the stores report a full disk themselves.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }
