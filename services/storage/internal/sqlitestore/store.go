// Package sqlitestore is the catalogue of one storage, in one SQLite file that people
// may open with any SQLite tool: see the views newest_pages, item_list and media.
//
// One connection writes, a small pool reads. A commit is durable when it returns
// (WAL, synchronous=FULL) and holds a whole batch, so that the fsync is shared. With
// one writer, row ids grow in the order of commits, and are never used twice: they are
// the cursors.
package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/schema"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
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

// Store is an open catalogue.
type Store struct {
	dir   string
	write *sql.DB
	read  *sql.DB
	stmt  statements // of the writer

	mu     sync.Mutex
	crawls map[string]int64 // numbers of crawls

	// Of the writer: the last row id that was given, and whether a commit failed, so
	// that it must be read again.
	last  uint64
	stale bool
	args  []any
}

var _ catalogue.Store = (*Store)(nil)

// statements are prepared on the connection that writes.
type statements struct {
	known, prior                       *sql.Stmt
	insPage, insPages                  *sql.Stmt
	insItem, insItems, insReject       *sql.Stmt
	addCrawl, growCrawl, count         *sql.Stmt
	setSegment, addRecords             *sql.Stmt
	replace                            *sql.Stmt
	supersede, supersedeRejects        *sql.Stmt
	addContent, content, near, addNear *sql.Stmt
	reread, dropReadings               *sql.Stmt
	unsay, unsayRejects                *sql.Stmt
}

// Open opens or creates the catalogue in dir and brings its schema up to date.
func Open(ctx context.Context, dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	c := &Store{dir: dir, crawls: map[string]int64{}}
	var err error
	// 4,000 pages of WAL between checkpoints: the pages of a random index are then
	// written back once for several commits. 4 MiB of cache hold its upper levels; 16 were
	// no faster, and each takes two of memory: a page and its header fill a slot of 8 KiB.
	if c.write, err = sql.Open("sqlite", dsn(path, "synchronous(FULL)", "wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-4096)")); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	c.write.SetMaxOpenConns(1)
	if c.read, err = sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-2048)")); err != nil {
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

func (s *Store) prepare(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := s.migrate(ctx, files); err != nil {
		return err
	}
	st := &s.stmt
	for _, q := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&st.known, knownQuery()},
		{&st.prior, priorQuery},
		{&st.insPage, insertPages(1)},
		{&st.insPages, insertPages(rowsAtOnce)},
		{&st.insItem, insertItems(1)},
		{&st.insItems, insertItems(rowsAtOnce)},
		{&st.insReject, "INSERT INTO rejects (id, crawl, page, rule, idx, json) VALUES (?, ?, ?, ?, ?, ?)"},
		{&st.addCrawl, "INSERT INTO crawls (crawl_id) VALUES (?) ON CONFLICT DO UPDATE SET crawl_id = crawl_id RETURNING crawl"},
		{&st.growCrawl, "UPDATE crawls SET attempts = attempts + ?, pages = pages + ?, items = items + ?, archive_bytes = archive_bytes + ? WHERE crawl = ?"},
		{&st.count, "INSERT INTO counts (crawl, kind, name, n) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"},
		{&st.setSegment, "UPDATE segments SET size = ? WHERE segment = ? AND sealed = 0"},
		{&st.addRecords, "UPDATE segments SET records = records + ? WHERE segment = ?"},
		{&st.replace, replaceQuery},
		{&st.supersede, supersedeQuery("items", "<")},
		{&st.supersedeRejects, supersedeQuery("rejects", "<")},
		{&st.reread, rereadQuery},
		{&st.unsay, supersedeQuery("items", "<=")},
		{&st.unsayRejects, supersedeQuery("rejects", "<=")},
		{&st.dropReadings, "DELETE FROM pages WHERE crawl = ? AND url_key = ? AND kind = 4"},
		{&st.addContent, "INSERT INTO contents (crawl, digest, page) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"},
		{&st.content, "SELECT c.page, p.url_key FROM contents c LEFT JOIN pages p ON p.id = c.page WHERE c.crawl = ? AND c.digest = ?"},
		{&st.near, nearQuery},
		{&st.addNear, "INSERT INTO near (crawl, quarter, page, simhash) VALUES (?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?)"},
	} {
		if *q.to, err = s.write.PrepareContext(ctx, q.query); err != nil {
			return fmt.Errorf("prepare %.40q: %w", q.query, err)
		}
	}
	return s.loadLast(ctx)
}

// floorOf is what the file's user_version says of its tables: their version a thousand
// times, and the oldest that a program must know to use them. A newer program may have
// died before it wrote its own.
func floorOf(userVersion, version int64) int64 {
	if userVersion/1000 != version {
		return 0
	}
	return userVersion % 1000
}

// migrate brings the tables to the newest version that this program knows.
func (s *Store) migrate(ctx context.Context, files fs.FS) error {
	known, err := schema.Read(files)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files)
	if err != nil {
		return err
	}
	version, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	var word int64
	if err := s.write.QueryRowContext(ctx, "PRAGMA user_version").Scan(&word); err != nil {
		return err
	}
	if err := known.Check("catalogue in "+s.dir, version, floorOf(word, version)); err != nil || version > known.Newest {
		return err
	}
	mine := 1000*known.Newest + known.Floor
	if _, err := p.Up(ctx); err != nil || word == mine {
		return err
	}
	_, err = s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", mine))
	return err
}

// loadLast reads where row ids go on: behind every id that was ever given.
func (s *Store) loadLast(ctx context.Context) error {
	q := "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name IN ('pages', 'items', 'rejects')"
	return s.write.QueryRowContext(ctx, q).Scan(&s.last)
}

// Close closes the file; SQLite folds the WAL into it.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// wrap gives an error its kind. A file system that is full or fails is nobody's
// fault but the machine's: the batch is kept and tried again. What SQLite says
// about a statement is a bug.
func (s *Store) wrap(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL:
		return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s: %w)", s.dir, doing, err)
	case sqlitelib.SQLITE_ERROR, sqlitelib.SQLITE_CONSTRAINT, sqlitelib.SQLITE_MISUSE, sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_RANGE, sqlitelib.SQLITE_TOOBIG:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return crawl.Errorf(crawl.Unavailable, "catalogue in %s: %s: %w", s.dir, doing, err)
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
