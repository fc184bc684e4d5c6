package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/schema"
)

// Tables are those of one store, with the migrations that made them.
type Tables struct {
	// What the store is, as errors name it: "catalogue".
	What string
	// Files are the migrations; see package schema.
	Files fs.FS
	// Version is the table that keeps which of them the database has; "" for goose's
	// own name. The floor is its comment.
	Version string
}

// floorComment says who can use the tables. It counts for the version that it names: a
// newer program may have died before it left its own.
const floorComment = "weir: version %d, usable from %d"

// Check tells how the tables stand and changes nothing. Its error says that the program
// cannot use them, or that they could not be looked at.
func (t Tables) Check(ctx context.Context, pool *pgxpool.Pool) (schema.State, error) {
	state, _, err := t.check(ctx, pool)
	return state, err
}

func (t Tables) check(ctx context.Context, pool *pgxpool.Pool) (state schema.State, floor int64, err error) {
	known, err := schema.Read(t.Files)
	if err != nil {
		return state, 0, err
	}
	state = schema.State{What: t.What, Newest: known.Newest}
	name := t.version()
	var comment string
	// The name is one of ours.
	err = pool.QueryRow(ctx, "SELECT coalesce(obj_description(to_regclass($1)::oid, 'pg_class'), '') WHERE to_regclass($1) IS NOT NULL", name).Scan(&comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return state, 0, nil
	}
	if err == nil {
		err = pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+name).Scan(&state.Version)
	}
	if err != nil {
		return state, 0, fmt.Errorf("look at the version of the tables: %w", err)
	}
	state.From = state.Version
	var version int64
	if _, err := fmt.Sscanf(comment, floorComment, &version, &floor); err != nil || version != state.Version {
		floor = 0
	}
	return state, floor, known.Check(t.What, state.Version, floor)
}

func (t Tables) version() string {
	if t.Version == "" {
		return goose.DefaultTablename
	}
	return t.Version
}

// Migrate brings the tables to the newest version that the program knows. Processes that
// start together wait for the first, at most a minute; to do it again does nothing.
// Newer tables are left alone, if the program can use them.
func (t Tables) Migrate(ctx context.Context, pool *pgxpool.Pool) (schema.State, error) {
	known, err := schema.Read(t.Files)
	if err != nil {
		return schema.State{}, err
	}
	state, floor, err := t.check(ctx, pool)
	if err != nil {
		return state, err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	if state.Behind() {
		if err := t.up(ctx, db); err != nil {
			return state, err
		}
	}
	if state.Version > known.Newest || !state.Behind() && floor == known.Floor {
		return state, nil
	}
	state.Version = known.Newest
	return state, t.setFloor(ctx, pool, known)
}

func (t Tables) up(ctx context.Context, db *sql.DB) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	options := []goose.ProviderOption{goose.WithSessionLocker(locker), goose.WithTableName(t.version())}
	p, err := goose.NewProvider(goose.DialectPostgres, db, t.Files, options...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// setFloor leaves word of who can use the tables. A program that dies before leaves
// them to those that know them, and the next one comes here again.
func (t Tables) setFloor(ctx context.Context, pool *pgxpool.Pool, known schema.Versions) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Two comments at a time are an error of the server's.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('weir floor'))"); err != nil {
			return err
		}
		// A newer program may have been here meanwhile.
		var version int64
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+t.version()).Scan(&version); err != nil || version > known.Newest {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("COMMENT ON TABLE %s IS '"+floorComment+"'", t.version(), known.Newest, known.Floor))
		return err
	})
}

// MigrateAt is Migrate, or with check Check, of the tables in the database at dsn, which
// it waits for with patience.
func MigrateAt(ctx context.Context, dsn string, t Tables, check bool) (schema.State, error) {
	pool, err := Open(ctx, Config{What: t.What, DSN: dsn, Connections: 2, Statement: migrateTime, Idle: time.Minute})
	if err != nil {
		return schema.State{}, err
	}
	defer pool.Close()
	if err := Retry(ctx, patience, Passing, pool.Ping); err != nil {
		return schema.State{}, crawl.Errorf(crawl.Unavailable, "%s: connect: %w%s", t.What, err, Advice(err))
	}
	run := t.Migrate
	if check {
		run = t.Check
	}
	state, err := run(ctx, pool)
	if _, ours := errors.AsType[*crawl.Error](err); err != nil && !ours {
		err = fmt.Errorf("%s: %w%s", t.What, err, Advice(err))
	}
	return state, err
}

const (
	// patience is how long MigrateAt waits for a server that is not up yet.
	patience = 15 * time.Second
	// migrateTime bounds a statement of a migration: one that fills a column of a large
	// table takes its time.
	migrateTime = time.Hour
)
