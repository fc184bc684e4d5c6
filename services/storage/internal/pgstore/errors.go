package pgstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weircrawl/weir/internal/crawl"
)

// advice says what to do about errors of the server, by the beginning of their code.
var advice = []struct{ code, do string }{
	{"28", "check user and password in the catalogue's address"},
	{"3D000", "create the database, or correct its name in the catalogue's address"},
	{"42501", "grant the user its rights on the database"},
	{"53100", "no space left on the server's disk: free space; nothing is lost"},
	{"53300", "raise the server's max_connections, or lower the number of storages"},
	{"53", "give the server more of what it lacks"},
	{"25006", "the server is a standby: use the address of the primary"},
	{"42P01", "a table is missing: was the database changed by hand?"},
}

// Codes that this package looks at.
const (
	uniqueViolation = "23505"
	divisionByZero  = "22012"
)

// wrap says what was being done and, where it is known, what to do about it. What the
// server says about the rows themselves is a bug; everything else may pass.
func wrap(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ours := errors.AsType[*crawl.Error](err); ours {
		return err
	}
	do, kind := "", crawl.Unavailable
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, a := range advice {
			if strings.HasPrefix(pg.Code, a.code) {
				do = ": " + a.do
				break
			}
		}
		if do == "" && !passing(err) && pg.Code != uniqueViolation {
			kind = crawl.Internal
		}
	} else if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		do = ": is the server running, and the catalogue's address right?"
	}
	return crawl.Errorf(kind, "catalogue: %s: %w%s", doing, err, do)
}

// passing reports whether the same may succeed when it is tried again.
func passing(err error) bool {
	if _, ours := errors.AsType[*crawl.Error](err); ours {
		return false
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return true // a connection that broke, or none to be had
	}
	switch pg.Code[:2] {
	case "08", "40", "53", "55", "57", "58": // connection, serialization, resources, locks, shutdown, disk
		return true
	}
	return pg.Code == "25P03" || pg.Code == "25006" // idle too long; a primary that became a standby
}

// hasCode reports whether the server gave an error a code.
func hasCode(err error, code string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code
}

// Pauses between tries.
const (
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// retry calls try until it succeeds, fails for good, or the store's patience ends.
func (s *Store) retry(ctx context.Context, doing string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	pause := firstPause
	for {
		err := try(ctx)
		if err == nil || !passing(err) || ctx.Err() != nil {
			return wrap(doing, err)
		}
		select {
		case <-ctx.Done():
			return wrap(doing, err)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}
