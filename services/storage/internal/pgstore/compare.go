package pgstore

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// compare finds for each page the first one with the same content, and one with
// nearly the same text.
func (w *writer) compare(ctx context.Context) error {
	if err := w.contents(ctx); err != nil {
		return err
	}
	return w.near(ctx)
}

// contents finds the first pages with the same content. Two storages that have the
// same content at the same time are put in order by the database: the second waits
// for the first to be committed, and finds it. All insert in the order of the digests,
// so that no two wait for each other.
func (w *writer) contents(ctx context.Context) error {
	firsts := map[[16]byte]uint64{} // of the batch
	var keys [][16]byte
	for i, p := range w.b.Pages {
		if len(p.Content) == 0 {
			continue
		}
		key := uuidOf(w.numbers[i], p.Content)
		if _, ok := firsts[key]; !ok {
			firsts[key] = p.ID
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	ids := make([]int64, len(keys))
	for i, k := range keys {
		ids[i] = int64(firsts[k])
	}
	urls := map[uint64]weburl.Key{}
	b := &pgx.Batch{}
	b.Queue("INSERT INTO contents (key, page) SELECT * FROM unnest($1::uuid[], $2::bigint[]) ON CONFLICT (key) DO NOTHING", keys, ids)
	// Only what was there before: the others point to pages that are not written yet.
	b.Queue("SELECT c.key, c.page, p.key FROM unnest($1::uuid[]) AS k(key) JOIN contents c ON c.key = k.key JOIN pages p ON p.id = c.page", keys).
		Query(func(rows pgx.Rows) error {
			var key, url [16]byte
			var page int64
			_, err := pgx.ForEachRow(rows, []any{&key, &page, &url}, func() error {
				firsts[key], urls[uint64(page)] = uint64(page), urlKey(url)
				return nil
			})
			return err
		})
	if err := w.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for i, p := range w.b.Pages {
		if len(p.Content) == 0 {
			continue
		}
		if first := firsts[uuidOf(w.numbers[i], p.Content)]; w.urlOf(first, urls) != p.URL {
			p.DuplicateOf = first
		}
	}
	return nil
}

// urlOf is the URL of a page by its key, as read, or as it is about to be written.
func (w *writer) urlOf(id uint64, read map[uint64]weburl.Key) weburl.Key {
	if at := id - w.first; at < uint64(len(w.b.Pages)) {
		return w.b.Pages[at].URL
	}
	return read[id]
}

// similar is a page that another may be near to.
type similar struct {
	id   uint64
	hash uint64
	url  weburl.Key
}

// near finds pages with nearly the same text and adds those of the batch.
func (w *writer) near(ctx context.Context) error {
	var pages, numbers, quarters []int32
	var ids, hashes []int64
	for i, p := range w.b.Pages {
		if !p.WantsNear() {
			continue
		}
		for _, q := range catalogue.Quarters(p.SimHash) {
			pages, numbers, quarters = append(pages, int32(i)), append(numbers, w.numbers[i]), append(quarters, int32(q))
			ids, hashes = append(ids, int64(p.ID)), append(hashes, int64(p.SimHash))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	found := map[int32][]similar{}
	b.Queue("SELECT q.at, n.page, n.simhash, p.key FROM unnest($1::int[], $2::int[], $3::int[]) AS q(at, crawl, quarter), "+
		"LATERAL (SELECT page, simhash FROM near WHERE crawl = q.crawl AND quarter = q.quarter ORDER BY page LIMIT $4) AS n JOIN pages p ON p.id = n.page",
		pages, numbers, quarters, catalogue.MaxNear/4).
		Query(func(rows pgx.Rows) error {
			var at int32
			var page, hash int64
			var url [16]byte
			_, err := pgx.ForEachRow(rows, []any{&at, &page, &hash, &url}, func() error {
				found[at] = append(found[at], similar{uint64(page), uint64(hash), urlKey(url)})
				return nil
			})
			return err
		})
	b.Queue("INSERT INTO near (crawl, quarter, page, simhash) SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[])", numbers, quarters, ids, hashes)
	if err := w.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	w.nearest(found)
	return nil
}

// nearest chooses for each page among those that were found, and those before it in
// the batch.
func (w *writer) nearest(found map[int32][]similar) {
	for i, p := range w.b.Pages {
		if !p.WantsNear() {
			continue
		}
		candidates := found[int32(i)]
		for k := range i {
			if o := w.b.Pages[k]; o.WantsNear() && w.numbers[k] == w.numbers[i] {
				candidates = append(candidates, similar{o.ID, o.SimHash, o.URL})
			}
		}
		for _, c := range candidates {
			if c.url != p.URL && catalogue.Near(c.hash, p.SimHash) && (p.NearOf == 0 || c.id < p.NearOf) {
				p.NearOf = c.id
			}
		}
	}
}
