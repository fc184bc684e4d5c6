package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// pageFields are what scanPage reads; the first is the cursor.
const pageFields = "p.id, p.key, p.generation, p.attempt, p.kind, p.url, p.via, p.depth, p.fetched_at, p.duration_us, p.status, p.error, p.error_detail, " +
	"p.content_type, p.title, p.language, p.size, p.sha256, p.redirect_url, p.truncated, p.rendered, p.outlinks, p.items, p.items_digest, p.rejected_items, p.warning, " +
	"p.segment, coalesce(s.file, ''), p.warc_offset, p.warc_length, p.lease, p.revisit, p.duplicate_of, coalesce(d.url, ''), p.near_of, coalesce(n.url, ''), p.simhash, p.revision "

const pageJoins = "LEFT JOIN segments s ON s.segment = p.segment LEFT JOIN pages d ON d.id = p.duplicate_of LEFT JOIN pages n ON n.id = p.near_of "

// onePage begins a query of pages by something else than their cursors.
const onePage = "SELECT (SELECT base + 1 + p.id - first_page FROM commits WHERE crawl = $1 AND first_page <= p.id ORDER BY first_page DESC LIMIT 1), " +
	pageFields + "FROM pages p " + pageJoins

// find returns the number of a crawl, false for one that is not known.
func (s *Store) find(ctx context.Context, crawlID string) (number int32, ok bool, err error) {
	err = s.retry(ctx, "find crawl "+crawlID, func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, "SELECT crawl FROM crawls WHERE crawl_id = $1 AND NOT deleted", crawlID).Scan(&number)
		if ok = err == nil; errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return number, ok, err
}

// Newest returns the newest attempt at a URL.
func (s *Store) Newest(ctx context.Context, crawlID, canonicalURL string, archived bool) (*catalogue.Page, error) {
	key := weburl.KeyOf(canonicalURL)
	q := onePage + "WHERE p.key = $2 "
	if archived {
		q += "AND p.segment <> 0 "
	}
	return s.one(ctx, crawlID, "page "+canonicalURL, archived, q+"ORDER BY p.kind, p.generation DESC, p.attempt DESC LIMIT 1",
		func(number int32) any { return uuidOf(number, key[:]) })
}

// MediaByDigest returns a file with a SHA-256.
func (s *Store) MediaByDigest(ctx context.Context, crawlID string, sha256 []byte) (*catalogue.Page, error) {
	return s.one(ctx, crawlID, fmt.Sprintf("file with SHA-256 %x", sha256), true,
		onePage+"WHERE p.sha256 = $2 AND p.kind = 3 AND p.segment <> 0 AND crawl_of(p.key) = $1 LIMIT 1", func(int32) any { return sha256 })
}

// one reads a page, and where it is a revisit, the place of its body.
func (s *Store) one(ctx context.Context, crawlID, what string, body bool, sql string, arg func(number int32) any) (p *catalogue.Page, err error) {
	number, ok, err := s.find(ctx, crawlID)
	if err != nil {
		return nil, err
	}
	missing := crawl.Errorf(crawl.NotFound, "crawl %s has no %s", crawlID, what)
	if !ok {
		return nil, missing
	}
	err = s.retry(ctx, "read page", func(ctx context.Context) error {
		if p, err = scanPage(s.pool.QueryRow(ctx, sql, number, arg(number)), crawlID); err != nil || !body || p.Revisit == 0 {
			return err
		}
		source, err := scanPage(s.pool.QueryRow(ctx, onePage+"WHERE p.id = $2", number, int64(p.Revisit)), crawlID)
		if err == nil {
			p.Place = source.Place
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, missing
	}
	return p, err
}

// Last is the cursor of what was committed last.
func (s *Store) Last(ctx context.Context) (last uint64, err error) {
	err = s.retry(ctx, "read the newest cursor", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT last FROM clock").Scan(&last)
	})
	return last, err
}

// attempts reads those at one URL.
func (s *Store) attempts(ctx context.Context, number int32, q catalogue.PageQuery) (a catalogue.PageAnswer, err error) {
	key := weburl.KeyOf(q.URL)
	last, err := s.Last(ctx)
	if err != nil {
		return a, err
	}
	if q.Last != 0 {
		last = min(last, q.Last)
	}
	w := &where{args: []any{number, uuidOf(number, key[:])}}
	w.filter(&q.Filter)
	err = s.retry(ctx, "list attempts", func(ctx context.Context) error {
		a.Pages, err = s.pages(ctx, q.Crawl, onePage+"WHERE p.key = $2 AND p.kind < 4 "+w.text, w.args...)
		return err
	})
	a.Pages = slices.DeleteFunc(a.Pages, func(p *catalogue.Page) bool { return p.Cursor <= q.After || p.Cursor > last })
	a.Next, a.End = max(last, q.After), true
	if len(a.Pages) > q.Limit {
		a.Pages = a.Pages[:q.Limit]
		a.Next, a.End = a.Pages[q.Limit-1].Cursor, false
	}
	return a, err
}

// pages reads pages and sorts them by their cursors.
func (s *Store) pages(ctx context.Context, crawlID, sql string, args ...any) ([]*catalogue.Page, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*catalogue.Page, error) { return scanPage(row, crawlID) })
	slices.SortFunc(all, func(a, b *catalogue.Page) int { return cmp.Compare(a.Cursor, b.Cursor) })
	return all, err
}

// where is a condition under construction.
type where struct {
	text string
	args []any
}

func (w *where) and(condition string, arg any) {
	w.args = append(w.args, arg)
	w.text += fmt.Sprintf("AND "+condition+" ", len(w.args))
}

func (w *where) between(since, until time.Time) {
	if !since.IsZero() {
		w.and("p.fetched_at >= $%d", since)
	}
	if !until.IsZero() {
		w.and("p.fetched_at < $%d", until)
	}
}

func (w *where) filter(f *catalogue.PageFilter) {
	if len(f.Statuses) > 0 {
		var statuses []int16
		for _, s := range f.Statuses {
			statuses = append(statuses, int16(s))
		}
		w.and("p.status = ANY ($%d::smallint[])", statuses)
	}
	if len(f.Errors) > 0 {
		var names []string
		for _, c := range f.Errors {
			names = append(names, catalogue.ClassName(c))
		}
		w.and("p.error = ANY ($%d::text[])", names)
	}
	if f.Kind != 0 {
		w.and("p.kind = $%d::smallint", int16(f.Kind))
	}
	w.between(f.Since, f.Until)
}

func scanPage(row interface{ Scan(...any) error }, crawlID string) (*catalogue.Page, error) {
	p := &catalogue.Page{Key: catalogue.Key{Crawl: crawlID}}
	var key [16]byte
	var class string
	var cursor, micros, lease, digest, hash int64
	if err := row.Scan(&cursor, &p.ID, &key, &p.Generation, &p.Attempt, &p.Kind, &p.CanonicalURL, &p.Via, &p.Depth, &p.FetchedAt, &micros, &p.Status, &class, &p.ErrorDetail,
		&p.ContentType, &p.Title, &p.Language, &p.Size, &p.SHA256, &p.RedirectURL, &p.Truncated, &p.Rendered, &p.Outlinks, &p.ItemCount, &digest, &p.RejectedItems, &p.Warning,
		&p.Place.Segment, &p.Place.File, &p.Place.Offset, &p.Place.Length, &lease, &p.Revisit, &p.DuplicateOf, &p.DuplicateURL, &p.NearOf, &p.NearURL, &hash, &p.Revision); err != nil {
		return nil, err
	}
	p.URL, p.FetchedAt, p.Duration, p.Error = urlKey(key), p.FetchedAt.UTC(), time.Duration(micros)*time.Microsecond, catalogue.ClassNamed(class)
	p.Cursor, p.Lease, p.ItemsDigest, p.SimHash = uint64(cursor), uint64(lease), uint64(digest), uint64(hash)
	return p, nil
}
