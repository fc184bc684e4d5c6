// Package postgres has what the services' stores in PostgreSQL share: how connections
// are set up, how tables are brought to this version, what the server's errors mean,
// and when the same may succeed later. What is in the tables is the stores' own.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/internal/crawl"
)

// Pauses between two tries of Retry, the first and the longest.
const (
	FirstPause = 20 * time.Millisecond
	MaxPause   = time.Second
)

// Config of a pool of connections.
type Config struct {
	// What the store is, as errors name it: "catalogue".
	What string
	// DSN is its address: postgres://user:password@host/database.
	DSN string
	// Connections is the most that are open at a time.
	Connections int
	// Statement bounds a statement, Idle the time inside a transaction without one: a
	// process that stopped there must not keep others waiting.
	Statement, Idle time.Duration
}

// Open makes a pool; it connects when it is first used. Everything then finds its rows
// by an index, whatever the statistics say: a plan made while a table was small would
// read all of it when it has grown.
func Open(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	// The driver leaves the password out of its error.
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "%s: %w: the address is like postgres://user:password@host/database", cfg.What, err)
	}
	pc.MaxConns = int32(cfg.Connections)
	settings := strings.Join([]string{
		fmt.Sprintf("SET statement_timeout = %d", cfg.Statement.Milliseconds()),
		fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", cfg.Idle.Milliseconds()),
		"SET plan_cache_mode = force_generic_plan",
		"SET enable_seqscan = off",
		"SET enable_hashjoin = off",
		"SET enable_mergejoin = off",
		"SET enable_material = off",
		"SET max_parallel_workers_per_gather = 0",
		"SET jit = off",
	}, "; ")
	pc.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		if !Genuine(c) {
			return nil
		}
		if _, err := c.Exec(ctx, settings); err != nil {
			return fmt.Errorf("prepare a connection: %w", err)
		}
		return nil
	}
	return pgxpool.NewWithConfig(ctx, pc)
}

// Genuine tells PostgreSQL from what only speaks its language.
func Genuine(c *pgx.Conn) bool { return c.PgConn().ParameterStatus("crdb_version") == "" }

// Advice says what to do about an error, "" where that is not known; it begins with a
// colon, so that it can stand behind the error.
func Advice(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, a := range []struct{ code, do string }{
			{"28", "check user and password in its address"},
			{"3D000", "create the database, or correct its name in the address"},
			{"42501", "grant the user its rights on the database"},
			{"53100", "no space left on the server's disk: free space; nothing is lost"},
			{"53300", "raise the server's max_connections, or run fewer processes"},
			{"53", "give the server more of what it lacks"},
			{"25006", "the server is a standby: use the address of the primary"},
			{"42P01", "a table is missing: was the database changed by hand?"},
		} {
			if strings.HasPrefix(pg.Code, a.code) {
				return ": " + a.do
			}
		}
		return ""
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return ": is the server running, and its address right?"
	}
	return ""
}

// Passing reports whether the same may succeed when it is tried again. Errors of this
// project are final: whoever made them knew what they mean.
func Passing(err error) bool {
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

// Retry calls try until it succeeds, fails with an error that is not passing, or
// patience or ctx ends; then it returns try's last error, that of the one before where
// the last try says no more than that patience ended.
func Retry(ctx context.Context, patience time.Duration, passing func(error) bool, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for pause := FirstPause; ; pause = min(2*pause, MaxPause) {
		err := try(ctx)
		if err == nil || !passing(err) {
			return err
		}
		if ctx.Err() != nil {
			if last != nil && errors.Is(err, context.DeadlineExceeded) {
				return last
			}
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
