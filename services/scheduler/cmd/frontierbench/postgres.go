package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/sqlstore"
)

// postgresEngine is a store in a PostgreSQL database on this machine, of which it may
// drop everything.
type postgresEngine struct {
	dsn        string
	partitions uint32
}

func (e postgresEngine) open(ctx context.Context) (frontier.Store, error) {
	cfg := sqlstore.DefaultConfig()
	cfg.DSN, cfg.Partitions = e.dsn, e.partitions
	return sqlstore.Open(ctx, cfg)
}

// ask runs a statement; into, when not nil, takes the one value of its row.
func (e postgresEngine) ask(ctx context.Context, into any, statement string) (err error) {
	c, err := pgx.Connect(ctx, e.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if into == nil {
		_, err = c.Exec(ctx, statement)
		return err
	}
	return c.QueryRow(ctx, statement).Scan(into)
}

func (e postgresEngine) compact(ctx context.Context, _ frontier.Store) error {
	return e.ask(ctx, nil, "VACUUM FULL")
}

func (e postgresEngine) size(ctx context.Context) (n int64, err error) {
	return n, e.ask(ctx, &n, "SELECT pg_database_size(current_database())")
}

func (e postgresEngine) remove(ctx context.Context) error {
	return e.ask(ctx, nil, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
}

// serverCPU sums the server's processes, those that have ended included.
func (e postgresEngine) serverCPU() (time.Duration, error) {
	var file string
	if err := e.ask(context.Background(), &file, "SELECT pg_read_file('postmaster.pid')"); err != nil {
		return 0, err
	}
	server, _, _ := strings.Cut(file, "\n")
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The fields follow the program's name, which is in parentheses: state, parent, …
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			return 0, fmt.Errorf("%s has %d fields", name, len(fields))
		}
		count := fields[11:13] // user and system time
		if filepath.Base(filepath.Dir(name)) == server {
			count = fields[11:15] // with those of children that have ended
		} else if fields[1] != server {
			continue
		}
		for _, f := range count {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			ticks += n
		}
	}
	const hertz = 100 // USER_HZ, the same on every Linux that Go runs on
	return time.Duration(ticks) * time.Second / hertz, nil
}
