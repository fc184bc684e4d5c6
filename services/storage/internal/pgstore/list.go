package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// span is the part of a commit that a list looks at: of its rows those numbered from
// and before to.
type span struct {
	base, first uint64 // cursor before the first row, id of the first page
	pages       int32
	from, to    int32
}

// past is the id behind the last page.
func (s span) past() int64 { return int64(s.first) + int64(s.pages) }

// list is a list of a crawl's rows in the order of their commit.
type list struct {
	number      int32
	column      string // of commits, what is listed
	after, last uint64
	rows        int // how many to look at
}

// maxSpans is how many commits one answer is made of: at a slow crawl they have one
// page each.
const maxSpans = 256

// spans returns the commits that an answer is made of, with at most as many rows as
// asked for, where they end, and whether nothing follows.
func (s *Store) spans(ctx context.Context, l list) (all []span, next uint64, end bool, err error) {
	newest, err := s.Last(ctx)
	if err != nil {
		return nil, 0, false, err
	}
	if l.last != 0 {
		newest = min(newest, l.last)
	}
	if newest <= l.after {
		return nil, l.after, true, nil
	}
	err = s.retry(ctx, "list commits", func(ctx context.Context) error {
		all = nil
		rows, err := s.pool.Query(ctx, "SELECT base, first_page, pages, "+l.column+" FROM commits WHERE crawl = $1 AND base < $3 AND base >= "+
			"coalesce((SELECT base FROM commits WHERE crawl = $1 AND base <= $2 ORDER BY base DESC LIMIT 1), 0) ORDER BY base LIMIT $4",
			l.number, int64(l.after), int64(newest), maxSpans)
		if err != nil {
			return err
		}
		var c span
		_, err = pgx.ForEachRow(rows, []any{&c.base, &c.first, &c.pages, &c.to}, func() error {
			c.from = 0
			all = append(all, c)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, 0, false, err
	}
	next, end = newest, len(all) < maxSpans
	if !end {
		c := all[len(all)-1]
		next = c.base + uint64(c.to)
	}
	return l.cut(all, newest, next, end)
}

// cut cuts spans at both ends and by the number of rows.
func (l list) cut(found []span, newest, next uint64, end bool) ([]span, uint64, bool, error) {
	var all []span
	left := int64(l.rows)
	for _, c := range found {
		from, to := int64(0), min(int64(c.to), int64(newest-c.base))
		if l.after > c.base {
			from = int64(min(l.after-c.base, uint64(to)))
		}
		if from >= to {
			continue
		}
		if to-from >= left {
			to = from + left
			next, end = c.base+uint64(to), false
		}
		left -= to - from
		c.from, c.to = int32(from), int32(to)
		if all = append(all, c); left == 0 {
			break
		}
	}
	return all, max(next, l.after), end, nil
}

// each calls f for every row of a query that is asked for each span, until it wants no
// more.
func (s *Store) each(ctx context.Context, doing string, spans []span, sql string, args func(span) []any, f func(span, pgx.Rows) (more bool, err error)) error {
	return s.retry(ctx, doing, func(ctx context.Context) error {
		b := &pgx.Batch{}
		for _, c := range spans {
			b.Queue(sql, args(c)...)
		}
		results := s.pool.SendBatch(ctx, b)
		err := func() error {
			for _, c := range spans {
				rows, err := results.Query()
				if err != nil {
					return err
				}
				for rows.Next() {
					if more, err := f(c, rows); err != nil || !more {
						rows.Close()
						return err
					}
				}
				if err := rows.Err(); err != nil {
					return err
				}
			}
			return nil
		}()
		if cerr := results.Close(); err == nil {
			err = cerr
		}
		return err
	})
}

// Pages reads attempts in the order of their commit.
func (s *Store) Pages(ctx context.Context, q catalogue.PageQuery) (catalogue.PageAnswer, error) {
	number, ok, err := s.find(ctx, q.Crawl)
	if err != nil || !ok {
		return catalogue.PageAnswer{Next: q.After, End: true}, err
	}
	if q.URL != "" {
		return s.attempts(ctx, number, q)
	}
	l := list{number: number, column: "pages", after: q.After, last: q.Last, rows: q.Limit}
	w := &where{args: []any{nil, nil, nil}}
	if q.Unread != 0 {
		w.and(unread, int64(q.Unread))
	}
	if w.filter(&q.Filter); w.text != "" {
		l.rows = max(l.rows, catalogue.Window)
	}
	spans, next, end, err := s.spans(ctx, l)
	if err != nil || len(spans) == 0 {
		return catalogue.PageAnswer{Next: next, End: end}, err
	}
	a := catalogue.PageAnswer{Next: next, End: end}
	err = s.each(ctx, "list pages", spans, "SELECT $3::bigint + p.id, "+pageFields+"FROM pages p "+pageJoins+"WHERE p.id >= $1 AND p.id < $2 AND p.kind < 4 "+w.text+"ORDER BY p.id",
		func(c span) []any {
			return append([]any{int64(c.first) + int64(c.from), int64(c.first) + int64(c.to), int64(c.base) + 1 - int64(c.first)}, w.args[3:]...)
		},
		func(_ span, rows pgx.Rows) (bool, error) {
			p, err := scanPage(rows, q.Crawl)
			if err != nil {
				return false, err
			}
			a.Pages = append(a.Pages, p)
			if len(a.Pages) < q.Limit {
				return true, nil
			}
			a.Next, a.End = p.Cursor, false
			return false, nil
		})
	return a, err
}

// Items reads items, or rejects, in the order of their commit.
func (s *Store) Items(ctx context.Context, q catalogue.ItemQuery) (catalogue.ItemAnswer, error) {
	number, ok, err := s.find(ctx, q.Crawl)
	if err != nil || !ok {
		return catalogue.ItemAnswer{Next: q.After, End: true}, err
	}
	table := "items"
	if q.Rejected {
		table = "rejects"
	}
	l := list{number: number, column: table, after: q.After, last: q.Last, rows: q.Limit}
	w := &where{args: []any{nil, nil, nil, nil}}
	if q.Rule != "" {
		w.and("i.rule = $%d", q.Rule)
	}
	if w.between(q.Since, q.Until); w.text != "" {
		l.rows = max(l.rows, catalogue.Window)
	}
	spans, next, end, err := s.spans(ctx, l)
	if err != nil || len(spans) == 0 {
		return catalogue.ItemAnswer{Next: next, End: end}, err
	}
	a := catalogue.ItemAnswer{Next: next, End: end}
	size := 0
	err = s.each(ctx, "list "+table, spans, "SELECT i.n, p.url, i.rule, i.idx, i.json FROM "+table+" i JOIN pages p ON p.id = i.page "+
		"WHERE i.page >= $1 AND i.page < $2 AND i.n >= $3 AND i.n < $4 "+w.text+"ORDER BY i.page, i.n",
		func(c span) []any { return append([]any{int64(c.first), c.past(), c.from, c.to}, w.args[4:]...) },
		func(c span, rows pgx.Rows) (bool, error) {
			var n int32
			it := catalogue.Item{}
			if err := rows.Scan(&n, &it.URL, &it.Rule, &it.Index, &it.JSON); err != nil {
				return false, err
			}
			it.Cursor = c.base + 1 + uint64(n)
			a.Items = append(a.Items, it)
			if size += len(it.JSON); size < catalogue.MaxAnswer && len(a.Items) < q.Limit {
				return true, nil
			}
			a.Next, a.End = it.Cursor, false
			return false, nil
		})
	return a, err
}
