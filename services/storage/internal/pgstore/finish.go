package pgstore

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/internal/crawl"
)

// finish writes the sums, gives the batch its cursors and commits. All goes to the
// server at once, which needs nothing from us until it is done: locks that all storages
// want are held for as long as the server takes, whatever becomes of us meanwhile.
//
// They are taken in the same order by all: crawls, segments, the clock.
func (w *writer) finish(ctx context.Context) error {
	b := &pgx.Batch{}
	w.sums(b)
	w.segments(b)
	w.cursors(b)
	b.Queue("COMMIT")
	return w.conn.SendBatch(ctx, b).Close()
}

func (w *writer) sums(b *pgx.Batch) {
	var numbers []int32
	var attempts, pages, items, bytes []int64
	var of, names []string
	var counted []int32
	var counts []int64
	for _, c := range w.shares {
		numbers = append(numbers, c.number)
		attempts, pages, items = append(attempts, c.Attempts), append(pages, c.Pages), append(items, c.Items)
		bytes = append(bytes, c.ArchiveBytes)
		for k, n := range c.Counts {
			if n != 0 {
				counted, of, names, counts = append(counted, c.number), append(of, k.Of), append(names, k.Name), append(counts, n)
			}
		}
	}
	b.Queue("SELECT FROM crawls WHERE crawl = ANY ($1::int[]) ORDER BY crawl FOR UPDATE", numbers)
	// A crawl that was deleted since must not get rows any more.
	failUnless(b, "count(*) = $2 FROM crawls WHERE crawl = ANY ($1::int[]) AND NOT deleted", errStale, numbers, len(numbers))
	b.Queue("UPDATE crawls c SET attempts = c.attempts + g.attempts, pages = c.pages + g.pages, items = c.items + g.items, archive_bytes = c.archive_bytes + g.bytes "+
		"FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS g(crawl, attempts, pages, items, bytes) WHERE c.crawl = g.crawl",
		numbers, attempts, pages, items, bytes)
	if len(counts) > 0 {
		b.Queue("INSERT INTO counts (crawl, kind, name, n) SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[]) "+
			"ON CONFLICT (crawl, kind, name) DO UPDATE SET n = counts.n + excluded.n", counted, of, names, counts)
	}
}

func (w *writer) segments(b *pgx.Batch) {
	delete(w.records, 0)
	for id := range w.b.Sizes {
		w.records[id] += 0 // its size changes in any case
	}
	if len(w.records) == 0 {
		return
	}
	all, grown := slices.Sorted(maps.Keys(w.records)), slices.Sorted(maps.Keys(w.b.Sizes))
	b.Queue("SELECT FROM segments WHERE segment = ANY ($1::bigint[]) ORDER BY segment FOR UPDATE", all)
	failUnless(b, "count(*) = $2 FROM segments WHERE segment = ANY ($1::bigint[]) AND NOT sealed",
		crawl.Errorf(crawl.Unavailable, "of the segments %v one is sealed or gone: its records are appended to another", grown), grown, len(grown))
	for _, id := range all {
		b.Queue("UPDATE segments SET records = records + $2, size = coalesce($3, size) WHERE segment = $1", id, w.records[id], sizeOf(w.b.Sizes, id))
	}
}

// sizeOf is the new size of a segment, nil where it has none.
func sizeOf(sizes map[int64]int64, id int64) *int64 {
	if size, ok := sizes[id]; ok {
		return &size
	}
	return nil
}

// failUnless makes the transaction fail with an error unless a condition is true. It is
// a division by zero: there is no other way to stop inside one step of the server.
func failUnless(b *pgx.Batch, condition string, failure error, args ...any) {
	b.Queue("SELECT 1 / ("+strings.Replace(condition, " FROM ", ")::int FROM ", 1), args...).QueryRow(func(row pgx.Row) error {
		var one int
		err := row.Scan(&one)
		if hasCode(err, divisionByZero) {
			return failure
		}
		return err
	})
}

// cursors gives each crawl's share as many cursors as it has pages, or items, if these
// are more.
func (w *writer) cursors(b *pgx.Batch) {
	var numbers, pages, items, rejects []int32
	var offsets, first []int64
	var total int64
	for _, c := range w.shares {
		numbers, offsets, first = append(numbers, c.number), append(offsets, total), append(first, int64(c.first))
		pages, items, rejects = append(pages, int32(c.pages)), append(items, int32(c.items)), append(rejects, int32(c.rejects))
		total += int64(max(c.pages, c.items, c.rejects))
	}
	b.Queue("WITH c AS (UPDATE clock SET last = last + $1 RETURNING last - $1 AS base) "+
		"INSERT INTO commits (crawl, base, first_page, pages, items, rejects) SELECT s.crawl, c.base + s.at, s.first_page, s.pages, s.items, s.rejects "+
		"FROM c, unnest($2::int[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::int[]) AS s(crawl, at, first_page, pages, items, rejects)",
		total, numbers, offsets, first, pages, items, rejects)
}
