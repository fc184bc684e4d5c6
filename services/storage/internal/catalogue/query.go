package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// The item counts are read from the page row: one look-up a page.
const selectPages = "SELECT p.id, p.url_key, p.generation, p.attempt, p.kind, p.url, p.depth, p.fetched_at, p.duration_us, p.status, p.error, p.error_detail, " +
	"p.content_type, p.title, p.size, p.sha256, p.redirect_url, p.truncated, p.outlinks, p.items, p.rejected_items, p.warning, " +
	"coalesce(p.segment, 0), coalesce(s.file, ''), p.warc_offset, p.warc_length, p.lease, p.revisit " +
	"FROM pages p LEFT JOIN segments s ON s.segment = p.segment "

// Newest returns the newest attempt at a URL, crawl.NotFound without one. With
// archived, only attempts that have a record in the archive count, and the place
// is that of the record with the body, which for a revisit is an earlier one. A URL
// that is both a page and a robots.txt is the page.
func (c *Catalogue) Newest(ctx context.Context, crawlID, canonicalURL string, archived bool) (*Page, error) {
	key := weburl.KeyOf(canonicalURL)
	q := selectPages + "WHERE p.crawl = (SELECT crawl FROM crawls WHERE crawl_id = ?) AND p.url_key = ? "
	if archived {
		q += "AND p.segment IS NOT NULL "
	}
	row := c.read.QueryRowContext(ctx, q+"ORDER BY p.kind, p.generation DESC, p.attempt DESC LIMIT 1", crawlID, key[:])
	p, err := scanPage(row, crawlID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, crawl.Errorf(crawl.NotFound, "crawl %s has no page %s", crawlID, canonicalURL)
	}
	if err != nil || !archived || p.Revisit == 0 {
		return p, c.wrap("read page", err)
	}
	source, err := scanPage(c.read.QueryRowContext(ctx, selectPages+"WHERE p.id = ?", p.Revisit), crawlID)
	if err != nil {
		return nil, c.wrap("read the page with the body", err)
	}
	p.Place = source.Place
	return p, nil
}

// Pages returns up to limit attempts of a crawl behind a cursor, in the order of
// their commit, up to the row last (0: all); only those at a URL if it is given.
func (c *Catalogue) Pages(ctx context.Context, crawlID, canonicalURL string, after, last uint64, limit int) ([]*Page, error) {
	q := selectPages + "WHERE p.crawl = (SELECT crawl FROM crawls WHERE crawl_id = ?) AND p.id > ? AND p.id <= ? "
	args := []any{crawlID, int64(after), bound(last)}
	if canonicalURL != "" {
		key := weburl.KeyOf(canonicalURL)
		q, args = q+"AND p.url_key = ? ", append(args, key[:])
	}
	rows, err := c.read.QueryContext(ctx, q+"ORDER BY p.id LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, c.wrap("list pages", err)
	}
	defer rows.Close()
	var all []*Page
	for rows.Next() {
		p, err := scanPage(rows, crawlID)
		if err != nil {
			return nil, c.wrap("list pages", err)
		}
		all = append(all, p)
	}
	return all, c.wrap("list pages", rows.Err())
}

// maxItemBytes ends an answer of Items early, so that its memory is bounded
// whatever the length of the items.
const maxItemBytes = 1 << 20

// Items returns up to limit items of a crawl behind a cursor, in the order of
// their commit, up to the row last (0: all); only those of a rule if it is given.
// An answer may be shorter than limit; it is empty only at the end.
func (c *Catalogue) Items(ctx context.Context, crawlID, rule string, after, last uint64, limit int) ([]Item, error) {
	return c.items(ctx, "items", crawlID, rule, after, last, limit)
}

// Rejects is Items for the items that did not fit.
func (c *Catalogue) Rejects(ctx context.Context, crawlID, rule string, after, last uint64, limit int) ([]Item, error) {
	return c.items(ctx, "rejects", crawlID, rule, after, last, limit)
}

func (c *Catalogue) items(ctx context.Context, table, crawlID, rule string, after, last uint64, limit int) ([]Item, error) {
	rows, err := c.read.QueryContext(ctx, "SELECT i.id, p.url, i.rule, i.idx, i.json FROM "+table+" i JOIN pages p ON p.id = i.page "+
		"WHERE i.crawl = (SELECT crawl FROM crawls WHERE crawl_id = ?) AND i.id > ? AND i.id <= ? AND (? = '' OR i.rule = ?) ORDER BY i.id LIMIT ?",
		crawlID, int64(after), bound(last), rule, rule, limit)
	if err != nil {
		return nil, c.wrap("list items", err)
	}
	defer rows.Close()
	var all []Item
	size := 0
	for rows.Next() {
		var it Item
		if err := rows.Scan(&it.ID, &it.URL, &it.Rule, &it.Index, &it.JSON); err != nil {
			return nil, c.wrap("list items", err)
		}
		all = append(all, it)
		if size += len(it.JSON); size >= maxItemBytes {
			break
		}
	}
	return all, c.wrap("list items", rows.Err())
}

// Last returns the newest row ids of pages and items: "what is committed now".
func (c *Catalogue) Last(ctx context.Context) (page, item uint64, err error) {
	err = c.read.QueryRowContext(ctx, "SELECT (SELECT coalesce(max(id), 0) FROM pages), (SELECT coalesce(max(id), 0) FROM items)").Scan(&page, &item)
	return page, item, c.wrap("read the newest rows", err)
}

// Stats returns a crawl's sums; all zero for a crawl that nothing is stored of.
func (c *Catalogue) Stats(ctx context.Context, crawlID string) (Stats, error) {
	var s Stats
	err := c.read.QueryRowContext(ctx, "SELECT attempts, pages, items, archive_bytes FROM crawls WHERE crawl_id = ?", crawlID).
		Scan(&s.Attempts, &s.Pages, &s.Items, &s.ArchiveBytes)
	if errors.Is(err, sql.ErrNoRows) {
		return Stats{}, nil
	}
	return s, c.wrap("read stats", err)
}

// Ping reports whether the catalogue can be read.
func (c *Catalogue) Ping(ctx context.Context) error {
	var n int
	return c.wrap("read", c.read.QueryRowContext(ctx, "SELECT count(*) FROM segments").Scan(&n))
}

// bound turns 0 into the greatest row id that SQLite has.
func bound(last uint64) int64 {
	if last == 0 {
		return 1<<63 - 1
	}
	return int64(last)
}

func scanPage(row interface{ Scan(...any) error }, crawlID string) (*Page, error) {
	p := &Page{Key: Key{Crawl: crawlID}}
	var key []byte
	var fetched, class string
	var micros, lease int64
	if err := row.Scan(&p.ID, &key, &p.Generation, &p.Attempt, &p.Kind, &p.CanonicalURL, &p.Depth, &fetched, &micros, &p.Status, &class, &p.ErrorDetail,
		&p.ContentType, &p.Title, &p.Size, &p.SHA256, &p.RedirectURL, &p.Truncated, &p.Outlinks, &p.ItemCount, &p.RejectedItems, &p.Warning,
		&p.Place.Segment, &p.Place.File, &p.Place.Offset, &p.Place.Length, &lease, &p.Revisit); err != nil {
		return nil, err
	}
	if len(key) != len(p.URL) {
		return nil, fmt.Errorf("page %d: URL key of %d bytes", p.ID, len(key))
	}
	copy(p.URL[:], key)
	p.Lease = uint64(lease)
	p.FetchedAt, p.Duration, p.Error = parseTime(fetched), time.Duration(micros)*time.Microsecond, parseClass(class)
	return p, nil
}

// parseClass is the inverse of Class.String; an unknown name is "other".
func parseClass(s string) crawl.Class {
	if s == "" {
		return crawl.ClassNone
	}
	for c := crawl.ClassNone + 1; int(c) < crawl.Classes; c++ {
		if c.String() == s {
			return c
		}
	}
	return crawl.ClassOther
}
