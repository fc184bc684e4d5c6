package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // its driver

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// columns of the plain tables: what a catalogue keeps of a page, without an index but
// the primary key.
const (
	plainPages = "id, crawl, url_key, generation, attempt, kind, url, depth, fetched_at, duration_us, status, content_type, title, language, size, sha256, outlinks, items, segment, warc_offset, warc_length, lease"
	plainItems = "id, page, rule, idx, json"
	pageWidth  = 22
	itemWidth  = 5
)

func appendPage(row []any, id int64, p *catalogue.Page, fetched any) []any {
	return append(row, id, int64(1), p.URL[:], int64(p.Generation), int64(p.Attempt), int64(p.Kind), p.CanonicalURL, int64(p.Depth), fetched, p.Duration.Microseconds(), int64(p.Status),
		p.ContentType, p.Title, p.Language, int64(p.Size), p.SHA256, int64(p.Outlinks), int64(len(p.Items)), p.Place.Segment, p.Place.Offset, p.Place.Length, int64(p.Lease))
}

// plainSQLite is a file with two tables, one transaction a batch, sixteen rows a
// statement.
type plainSQLite struct {
	db         *sql.DB
	page, item int64
}

func (e *plainSQLite) name() string { return "plain inserts in SQLite" }
func (e *plainSQLite) server() bool { return false }
func (e *plainSQLite) close() error { return e.db.Close() }

func openPlainSQLite(ctx context.Context, dir string) (engine, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "plain.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16384)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, "CREATE TABLE pages ("+strings.Replace(plainPages, "id,", "id INTEGER PRIMARY KEY,", 1)+"); CREATE TABLE items ("+strings.Replace(plainItems, "id,", "id INTEGER PRIMARY KEY,", 1)+")")
	return &plainSQLite{db: db}, err
}

func (e *plainSQLite) store(ctx context.Context, b *batch) (err error) {
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	pages, items := &filler{tx: tx, table: "pages", columns: plainPages, width: pageWidth}, &filler{tx: tx, table: "items", columns: plainItems, width: itemWidth}
	for _, p := range b.pages {
		e.page++
		pages.args = appendPage(pages.args, e.page, p, p.FetchedAt.Format("2006-01-02T15:04:05.000000Z"))
		if err := pages.flush(ctx, 16); err != nil {
			return err
		}
		for i := range p.Items {
			e.item++
			items.args = append(items.args, e.item, e.page, p.Items[i].Rule, int64(p.Items[i].Index), string(p.Items[i].JSON))
			if err := items.flush(ctx, 16); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(pages.flush(ctx, 0), items.flush(ctx, 0)); err != nil {
		return err
	}
	return tx.Commit()
}

// filler gathers rows for a statement.
type filler struct {
	tx             *sql.Tx
	table, columns string
	width          int
	args           []any
	stmt           *sql.Stmt
}

// flush writes what was gathered when it is as many rows; 0: in any case.
func (f *filler) flush(ctx context.Context, rows int) (err error) {
	n := len(f.args) / f.width
	if n == 0 || n < rows {
		return nil
	}
	row := "(?" + strings.Repeat(",?", f.width-1) + ")"
	query := "INSERT INTO " + f.table + " (" + f.columns + ") VALUES " + row + strings.Repeat(","+row, n-1)
	if rows == 0 {
		_, err = f.tx.ExecContext(ctx, query, f.args...)
	} else {
		if f.stmt == nil {
			if f.stmt, err = f.tx.PrepareContext(ctx, query); err != nil {
				return err
			}
		}
		_, err = f.stmt.ExecContext(ctx, f.args...)
	}
	f.args = f.args[:0]
	return err
}

// plainPostgres copies into two tables, one transaction a batch.
type plainPostgres struct {
	conn       *pgx.Conn
	page, item int64
}

func (e *plainPostgres) name() string { return "plain COPY in PostgreSQL" }
func (e *plainPostgres) server() bool { return true }
func (e *plainPostgres) close() error { return e.conn.Close(context.Background()) }

func openPlainPostgres(ctx context.Context, server *postgres) (engine, error) {
	conn, err := pgx.Connect(ctx, server.dsn)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, `CREATE SCHEMA plain; SET search_path = plain;
		CREATE TABLE pages (id bigint PRIMARY KEY, crawl bigint, url_key bytea, generation bigint, attempt bigint, kind bigint, url text, depth bigint, fetched_at timestamptz,
			duration_us bigint, status bigint, content_type text, title text, language text, size bigint, sha256 bytea, outlinks bigint, items bigint, segment bigint, warc_offset bigint,
			warc_length bigint, lease bigint);
		CREATE TABLE items (id bigint PRIMARY KEY, page bigint, rule text, idx bigint, json text)`)
	return &plainPostgres{conn: conn}, err
}

func (e *plainPostgres) store(ctx context.Context, b *batch) error {
	var pages, items [][]any
	for _, p := range b.pages {
		e.page++
		pages = append(pages, appendPage(nil, e.page, p, p.FetchedAt))
		for i := range p.Items {
			e.item++
			items = append(items, []any{e.item, e.page, p.Items[i].Rule, int64(p.Items[i].Index), string(p.Items[i].JSON)})
		}
	}
	return pgx.BeginFunc(ctx, e.conn, func(tx pgx.Tx) error {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"pages"}, strings.Split(plainPages, ", "), pgx.CopyFromRows(pages)); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"items"}, strings.Split(plainItems, ", "), pgx.CopyFromRows(items))
		return err
	})
}

// postgres is the server.
type postgres struct {
	dsn string
	pid string
}

// cpu sums the processor time of the server's processes, those that have ended
// included.
func (s *postgres) cpu(ctx context.Context) (time.Duration, error) {
	if s.pid == "" {
		conn, err := pgx.Connect(ctx, s.dsn)
		if err != nil {
			return 0, err
		}
		var file string
		if err := errors.Join(conn.QueryRow(ctx, "SELECT pg_read_file('postmaster.pid')").Scan(&file), conn.Close(ctx)); err != nil {
			return 0, err
		}
		s.pid, _, _ = strings.Cut(file, "\n")
	}
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
		if filepath.Base(filepath.Dir(name)) == s.pid {
			count = fields[11:15] // with those of children that have ended
		} else if fields[1] != s.pid {
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

// processCPU is the processor time that this process has used, user and system.
func processCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it fails for a bad argument only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
