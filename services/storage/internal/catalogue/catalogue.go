package catalogue

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// FileName of the catalogue in its folder.
const FileName = "catalogue.db"

// readers is the size of the read pool: enough for a few streams beside the
// look-ups; each has a page cache of its own.
const readers = 4

// Catalogue is an open catalogue. Commit, Known, AddSegment and SealSegment are
// for one goroutine, the writer; everything else is safe for concurrent use.
type Catalogue struct {
	dir   string
	write *sql.DB
	read  *sql.DB

	known      *sql.Stmt
	insPage    *sql.Stmt
	insPages   *sql.Stmt
	insItem    *sql.Stmt
	insItems   *sql.Stmt
	insReject  *sql.Stmt
	addCrawl   *sql.Stmt
	growCrawl  *sql.Stmt
	setSegment *sql.Stmt
	prior      *sql.Stmt
	priorItems *sql.Stmt
	supersede  *sql.Stmt

	supersedeRejects *sql.Stmt

	// Of the writer: numbers of crawls, and the next row ids.
	crawls   map[string]int64
	nextPage uint64
	nextItem uint64
	stale    bool // a commit failed: the ids must be read again
	args     []any
}

// Open opens or creates the catalogue in dir and brings its schema up to date.
func Open(ctx context.Context, dir string) (*Catalogue, error) {
	path := filepath.Join(dir, FileName)
	c := &Catalogue{dir: dir, crawls: map[string]int64{}}
	var err error
	// 4,000 pages of WAL between checkpoints: the pages of a random index are then
	// written back once for several commits. 16 MiB of cache hold its upper levels.
	if c.write, err = sql.Open("sqlite", dsn(path, "synchronous(FULL)", "wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-16384)")); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c.write.SetMaxOpenConns(1)
	if c.read, err = sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-4096)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), c.write.Close())
	}
	c.read.SetMaxOpenConns(readers)
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(c.wrap("open "+path, err), c.Close())
	}
	return c, nil
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	// A person's tool may hold the file for a moment.
	q.Add("_pragma", "busy_timeout(5000)")
	q.Add("_pragma", "journal_mode(WAL)")
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func (c *Catalogue) prepare(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, c.write, files)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&c.known, knownQuery()},
		{&c.insPage, insertPages(1)},
		{&c.insPages, insertPages(rowsAtOnce)},
		{&c.insItem, insertItems(1)},
		{&c.insItems, insertItems(rowsAtOnce)},
		{&c.addCrawl, "INSERT INTO crawls (crawl_id) VALUES (?) ON CONFLICT DO UPDATE SET crawl_id = crawl_id RETURNING crawl"},
		{&c.growCrawl, "UPDATE crawls SET attempts = attempts + ?, pages = pages + ?, items = items + ?, archive_bytes = archive_bytes + ? WHERE crawl = ?"},
		{&c.prior, priorQuery},
		{&c.priorItems, priorItemsQuery},
		{&c.supersede, supersedeQuery},
		{&c.supersedeRejects, supersedeRejectsQuery},
		{&c.insReject, "INSERT INTO rejects (crawl, page, rule, idx, json) VALUES (?, ?, ?, ?, ?)"},
		{&c.setSegment, "UPDATE segments SET size = ? WHERE segment = ? AND sealed = 0"},
	} {
		if *s.to, err = c.write.PrepareContext(ctx, s.query); err != nil {
			return fmt.Errorf("prepare %.40q: %w", s.query, err)
		}
	}
	return c.loadCounters(ctx)
}

// loadCounters reads where row ids go on: behind every id that was ever given.
func (c *Catalogue) loadCounters(ctx context.Context) error {
	q := "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
	if err := c.write.QueryRowContext(ctx, q, "pages").Scan(&c.nextPage); err != nil {
		return err
	}
	return c.write.QueryRowContext(ctx, q, "items").Scan(&c.nextItem)
}

// Close closes the file; SQLite folds the WAL into it.
func (c *Catalogue) Close() error { return errors.Join(c.read.Close(), c.write.Close()) }

// Segments returns all WARC files in the order of their numbers.
func (c *Catalogue) Segments(ctx context.Context) ([]archive.Segment, error) {
	rows, err := c.read.QueryContext(ctx, "SELECT segment, file, size, opened_at, sealed FROM segments ORDER BY segment")
	if err != nil {
		return nil, c.wrap("list segments", err)
	}
	defer rows.Close()
	var all []archive.Segment
	for rows.Next() {
		var s archive.Segment
		var opened string
		if err := rows.Scan(&s.ID, &s.File, &s.Size, &opened, &s.Sealed); err != nil {
			return nil, c.wrap("list segments", err)
		}
		s.OpenedAt = parseTime(opened)
		all = append(all, s)
	}
	return all, c.wrap("list segments", rows.Err())
}

// AddSegment makes a new file known, before it is created: a file that the
// catalogue does not know is never one of ours. It sets s.ID.
func (c *Catalogue) AddSegment(ctx context.Context, s *archive.Segment) error {
	row := c.write.QueryRowContext(ctx, "INSERT INTO segments (file, size, opened_at) VALUES (?, ?, ?) RETURNING segment", s.File, s.Size, formatTime(s.OpenedAt))
	return c.wrap("add segment "+s.File, row.Scan(&s.ID))
}

// SealSegment marks a file as finished.
func (c *Catalogue) SealSegment(ctx context.Context, id int64) error {
	_, err := c.write.ExecContext(ctx, "UPDATE segments SET sealed = 1 WHERE segment = ?", id)
	return c.wrap(fmt.Sprintf("seal segment %d", id), err)
}

// wrap gives an error its kind. A file system that is full or fails is nobody's
// fault but the machine's: the batch is kept and tried again. What SQLite says
// about a statement is a bug.
func (c *Catalogue) wrap(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL:
		return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s: %w)", c.dir, doing, err)
	case sqlitelib.SQLITE_ERROR, sqlitelib.SQLITE_CONSTRAINT, sqlitelib.SQLITE_MISUSE, sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_RANGE, sqlitelib.SQLITE_TOOBIG:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return crawl.Errorf(crawl.Unavailable, "catalogue in %s: %s: %w", c.dir, doing, err)
}

// timeFormat sorts as text and is read by SQLite's date functions.
const timeFormat = "2006-01-02T15:04:05.000000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

func parseTime(s string) time.Time {
	t, err := time.Parse(timeFormat, s)
	if err != nil {
		return time.Time{} // a person edited the row: better no time than no page
	}
	return t
}
