// Package schema says which programs can use which versions of a store's tables, so
// that two releases can work on the same database while one replaces the other, in
// either direction (ADR-0040).
//
// A migration is a file NNNNN_name.sql. The line
//
//	-- weir: usable from 3
//
// in it says that programs which know version 3 of the tables can still use them after
// it. Without the line only programs that know the migration can.
package schema

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/weircrawl/weir/internal/crawl"
)

// Versions is what a program knows of a store's tables.
type Versions struct {
	// Newest version that the program knows: the one that it brings tables to.
	Newest int64
	// Floor is the oldest version that a program must know to use tables of version
	// Newest.
	Floor int64
}

// Read reads the migrations in the root of files.
func Read(files fs.FS) (Versions, error) {
	var v Versions
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return v, err
	}
	for _, name := range names {
		m := fileName.FindStringSubmatch(name)
		if m == nil {
			return v, crawl.Errorf(crawl.Internal, "migration %s: its name is not NNNNN_name.sql", name)
		}
		version, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return v, crawl.Errorf(crawl.Internal, "migration %s: %w", name, err)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return v, fmt.Errorf("read migration %s: %w", name, err)
		}
		floor := version
		if line := usable.FindSubmatch(text); line != nil {
			if floor, err = strconv.ParseInt(string(line[1]), 10, 64); err != nil || floor > version {
				return v, crawl.Errorf(crawl.Internal, "migration %s: %q makes no sense", name, line[0])
			}
		}
		v.Newest, v.Floor = max(v.Newest, version), max(v.Floor, floor)
	}
	return v, nil
}

var (
	fileName = regexp.MustCompile(`^(\d+)_[a-z0-9_]+\.sql$`)
	usable   = regexp.MustCompile(`(?m)^-- weir: usable from (\d+)$`)
)

// Check returns nil when a program can use tables that have a version now and were left
// with a floor (0 for not known), and otherwise why it cannot. Older tables are no
// mistake: they are migrated. what names the store.
func (v Versions) Check(what string, version, floor int64) error {
	if version <= v.Newest || floor > 0 && floor <= v.Newest {
		return nil
	}
	if floor == 0 {
		floor = version
	}
	return crawl.Errorf(crawl.Precondition, "%s: its tables have version %d, for programs that know version %d or a later one; this program knows %d: use a newer one",
		what, version, floor, v.Newest)
}

// State is how a store stands to a program.
type State struct {
	// What names the store.
	What string
	// Version of its tables, 0 for none yet, and Newest that the program knows.
	Version, Newest int64
	// From is the version that it had before it was migrated just now, or Version.
	From int64
}

// Behind reports whether there is something to migrate.
func (s State) Behind() bool { return s.Version < s.Newest }

// String says it in words.
func (s State) String() string {
	switch {
	case s.Version > s.Newest:
		return fmt.Sprintf("%s: version %d, newer than the %d of this program, which can use it", s.What, s.Version, s.Newest)
	case s.From != s.Version && s.From == 0:
		return fmt.Sprintf("%s: made, version %d", s.What, s.Version)
	case s.From != s.Version:
		return fmt.Sprintf("%s: brought from version %d to %d", s.What, s.From, s.Version)
	case s.Version == 0:
		return fmt.Sprintf("%s: no tables yet; this program makes version %d", s.What, s.Newest)
	case s.Behind():
		return fmt.Sprintf("%s: version %d, to be brought to %d", s.What, s.Version, s.Newest)
	default:
		return fmt.Sprintf("%s: version %d, up to date", s.What, s.Version)
	}
}
