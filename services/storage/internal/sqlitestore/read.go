package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// The item counts are read from the page row: one look-up a page.
const selectPages = "SELECT p.id, p.url_key, p.generation, p.attempt, p.kind, p.url, p.via, p.depth, p.fetched_at, p.duration_us, p.status, p.error, p.error_detail, " +
	"p.content_type, p.title, p.language, p.size, p.sha256, p.redirect_url, p.truncated, p.rendered, p.outlinks, p.items, p.items_digest, p.rejected_items, p.warning, " +
	"coalesce(p.segment, 0), coalesce(s.file, ''), p.warc_offset, p.warc_length, p.lease, p.revisit, p.duplicate_of, coalesce(d.url, ''), p.near_of, coalesce(n.url, ''), p.simhash, p.revision " +
	"FROM pages p LEFT JOIN segments s ON s.segment = p.segment LEFT JOIN pages d ON d.id = p.duplicate_of LEFT JOIN pages n ON n.id = p.near_of "

// ofCrawl narrows to a crawl by its id.
const ofCrawl = "= (SELECT crawl FROM crawls WHERE crawl_id = ? AND deleted = 0) "

// Newest returns the newest attempt at a URL.
func (s *Store) Newest(ctx context.Context, crawlID, canonicalURL string, archived bool) (*catalogue.Page, error) {
	key := weburl.KeyOf(canonicalURL)
	q := selectPages + "WHERE p.crawl " + ofCrawl + "AND p.url_key = ? "
	if archived {
		q += "AND p.segment IS NOT NULL "
	}
	row := s.read.QueryRowContext(ctx, q+"ORDER BY p.kind, p.generation DESC, p.attempt DESC LIMIT 1", crawlID, key[:])
	return s.withBody(ctx, row, archived, crawlID, "page "+canonicalURL)
}

// MediaByDigest returns a file with a SHA-256.
func (s *Store) MediaByDigest(ctx context.Context, crawlID string, sha256 []byte) (*catalogue.Page, error) {
	row := s.read.QueryRowContext(ctx, selectPages+"WHERE p.crawl "+ofCrawl+"AND p.sha256 = ? AND p.kind = 3 AND p.segment IS NOT NULL LIMIT 1", crawlID, sha256)
	return s.withBody(ctx, row, true, crawlID, fmt.Sprintf("file with SHA-256 %x", sha256))
}

// withBody reads a page, and where it is a revisit, the place of its body.
func (s *Store) withBody(ctx context.Context, row *sql.Row, archived bool, crawlID, what string) (*catalogue.Page, error) {
	p, err := scanPage(row, crawlID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, crawl.Errorf(crawl.NotFound, "crawl %s has no %s", crawlID, what)
	}
	if err != nil || !archived || p.Revisit == 0 {
		return p, s.wrap("read page", err)
	}
	source, err := scanPage(s.read.QueryRowContext(ctx, selectPages+"WHERE p.id = ?", p.Revisit), crawlID)
	if err != nil {
		return nil, s.wrap("read the page with the body", err)
	}
	p.Place = source.Place
	return p, nil
}

// where is a condition under construction.
type where struct {
	text strings.Builder
	args []any
}

func (w *where) and(condition string, args ...any) {
	if len(w.args) > 0 {
		w.text.WriteString("AND ")
	}
	w.text.WriteString(condition)
	w.text.WriteByte(' ')
	w.args = append(w.args, args...)
}

// between adds the bounds of a time.
func (w *where) between(since, until time.Time) {
	if !since.IsZero() {
		w.and("p.fetched_at >= ?", formatTime(since))
	}
	if !until.IsZero() {
		w.and("p.fetched_at < ?", formatTime(until))
	}
}

// in adds that a column has one of some values.
func in[T any](w *where, column string, values []T, arg func(T) any) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = arg(v)
	}
	w.and(column+" IN (?"+strings.Repeat(",?", len(values)-1)+")", args...)
}

// Pages reads attempts in the order of their commit.
func (s *Store) Pages(ctx context.Context, q catalogue.PageQuery) (catalogue.PageAnswer, error) {
	w := &where{}
	w.and("p.crawl "+ofCrawl+"AND p.kind < 4", q.Crawl)
	if q.URL != "" {
		key := weburl.KeyOf(q.URL)
		w.and("p.url_key = ?", key[:])
	}
	f := &q.Filter
	filtered := len(f.Statuses) > 0 || len(f.Errors) > 0 || f.Kind > 1 || !f.Since.IsZero() || !f.Until.IsZero()
	in(w, "p.status", f.Statuses, func(s uint32) any { return int64(s) })
	in(w, "p.error", f.Errors, func(c crawl.Class) any { return catalogue.ClassName(c) })
	if f.Kind != 0 {
		w.and("p.kind = ?", int64(f.Kind))
	}
	w.between(f.Since, f.Until)
	if q.Unread != 0 {
		filtered = true
		w.and(unread, int64(q.Unread))
	}
	end, last, err := s.window(ctx, "pages", q.Crawl, q.After, q.Last, filtered && q.URL == "")
	if err != nil {
		return catalogue.PageAnswer{}, s.wrap("list pages", err)
	}
	w.and("p.id > ? AND p.id <= ?", int64(q.After), int64(end))
	rows, err := s.read.QueryContext(ctx, selectPages+"WHERE "+w.text.String()+"ORDER BY p.id LIMIT ?", append(w.args, q.Limit)...)
	if err != nil {
		return catalogue.PageAnswer{}, s.wrap("list pages", err)
	}
	defer rows.Close()
	a := catalogue.PageAnswer{}
	for rows.Next() {
		p, err := scanPage(rows, q.Crawl)
		if err != nil {
			return catalogue.PageAnswer{}, s.wrap("list pages", err)
		}
		a.Pages = append(a.Pages, p)
	}
	if a.Next, a.End = end, last; len(a.Pages) == q.Limit {
		a.Next, a.End = a.Pages[len(a.Pages)-1].Cursor, false
	}
	return a, s.wrap("list pages", rows.Err())
}

// window returns where a query that starts behind a row ends, and whether that is the
// end of the list. A filtered one looks at a number of rows at most.
func (s *Store) window(ctx context.Context, table, crawlID string, after, last uint64, filtered bool) (end uint64, final bool, err error) {
	newest, err := s.Last(ctx)
	if err != nil {
		return 0, false, err
	}
	if last != 0 {
		newest = min(newest, last)
	}
	newest = max(newest, after)
	if !filtered {
		return newest, true, nil
	}
	var id sql.NullInt64
	err = s.read.QueryRowContext(ctx, "SELECT id FROM "+table+" WHERE crawl "+ofCrawl+"AND id > ? AND id <= ? ORDER BY id LIMIT 1 OFFSET ?",
		crawlID, int64(after), int64(newest), catalogue.Window-1).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return newest, true, nil
	}
	return uint64(id.Int64), false, err
}

// Items reads items, or rejects, in the order of their commit.
func (s *Store) Items(ctx context.Context, q catalogue.ItemQuery) (catalogue.ItemAnswer, error) {
	table, w := "items", &where{}
	if q.Rejected {
		table = "rejects"
	}
	w.and("i.crawl "+ofCrawl, q.Crawl)
	if q.Rule != "" {
		w.and("i.rule = ?", q.Rule)
	}
	w.between(q.Since, q.Until)
	end, last, err := s.window(ctx, table, q.Crawl, q.After, q.Last, len(w.args) > 1)
	if err != nil {
		return catalogue.ItemAnswer{}, s.wrap("list items", err)
	}
	w.and("i.id > ? AND i.id <= ?", int64(q.After), int64(end))
	rows, err := s.read.QueryContext(ctx, "SELECT i.id, p.url, i.rule, i.idx, i.json FROM "+table+" i JOIN pages p ON p.id = i.page WHERE "+
		w.text.String()+"ORDER BY i.id LIMIT ?", append(w.args, q.Limit)...)
	if err != nil {
		return catalogue.ItemAnswer{}, s.wrap("list items", err)
	}
	defer rows.Close()
	a := catalogue.ItemAnswer{Next: end, End: last}
	size := 0
	for rows.Next() {
		var it catalogue.Item
		if err := rows.Scan(&it.Cursor, &it.URL, &it.Rule, &it.Index, &it.JSON); err != nil {
			return catalogue.ItemAnswer{}, s.wrap("list items", err)
		}
		a.Items = append(a.Items, it)
		if size += len(it.JSON); size >= catalogue.MaxAnswer || len(a.Items) == q.Limit {
			a.Next, a.End = it.Cursor, false
			break
		}
	}
	return a, s.wrap("list items", rows.Err())
}

// Last is the id of the row that was committed last.
func (s *Store) Last(ctx context.Context) (uint64, error) {
	var last uint64
	err := s.read.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name IN ('pages', 'items', 'rejects')").Scan(&last)
	return last, s.wrap("read the newest rows", err)
}

// Stats returns a crawl's sums; all zero for a crawl that nothing is stored of.
func (s *Store) Stats(ctx context.Context, crawlID string) (catalogue.Stats, error) {
	return s.stats(ctx, s.read, crawlID)
}

// querier is a connection pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (s *Store) stats(ctx context.Context, db querier, crawlID string) (catalogue.Stats, error) {
	var st catalogue.Stats
	var number int64
	err := db.QueryRowContext(ctx, "SELECT crawl, attempts, pages, items, archive_bytes FROM crawls WHERE crawl_id = ? AND deleted = 0", crawlID).
		Scan(&number, &st.Attempts, &st.Pages, &st.Items, &st.ArchiveBytes)
	if errors.Is(err, sql.ErrNoRows) {
		return catalogue.Stats{}, nil
	}
	if err != nil {
		return catalogue.Stats{}, s.wrap("read stats", err)
	}
	rows, err := db.QueryContext(ctx, "SELECT kind, name, n FROM counts WHERE crawl = ?", number)
	if err != nil {
		return catalogue.Stats{}, s.wrap("read stats", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c catalogue.Count
		var n int64
		if err := rows.Scan(&c.Of, &c.Name, &n); err != nil {
			return catalogue.Stats{}, s.wrap("read stats", err)
		}
		st.Set(c, n)
	}
	return st, s.wrap("read stats", rows.Err())
}

// Ping reports whether the catalogue can be read.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	return s.wrap("read", s.read.QueryRowContext(ctx, "SELECT count(*) FROM segments").Scan(&n))
}

func scanPage(row interface{ Scan(...any) error }, crawlID string) (*catalogue.Page, error) {
	p := &catalogue.Page{Key: catalogue.Key{Crawl: crawlID}}
	var key []byte
	var fetched, class string
	var micros, lease, digest, hash int64
	if err := row.Scan(&p.ID, &key, &p.Generation, &p.Attempt, &p.Kind, &p.CanonicalURL, &p.Via, &p.Depth, &fetched, &micros, &p.Status, &class, &p.ErrorDetail,
		&p.ContentType, &p.Title, &p.Language, &p.Size, &p.SHA256, &p.RedirectURL, &p.Truncated, &p.Rendered, &p.Outlinks, &p.ItemCount, &digest, &p.RejectedItems, &p.Warning,
		&p.Place.Segment, &p.Place.File, &p.Place.Offset, &p.Place.Length, &lease, &p.Revisit, &p.DuplicateOf, &p.DuplicateURL, &p.NearOf, &p.NearURL, &hash, &p.Revision); err != nil {
		return nil, err
	}
	if len(key) != len(p.URL) {
		return nil, fmt.Errorf("page %d: URL key of %d bytes", p.ID, len(key))
	}
	copy(p.URL[:], key)
	p.Cursor, p.Lease, p.ItemsDigest, p.SimHash = p.ID, uint64(lease), uint64(digest), uint64(hash)
	p.FetchedAt, p.Duration, p.Error = parseTime(fetched), time.Duration(micros)*time.Microsecond, catalogue.ClassNamed(class)
	return p, nil
}
