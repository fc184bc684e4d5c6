package catalogue

import (
	"context"
	"database/sql"
	"errors"
)

const (
	// priorQuery finds the newest page of a URL that was read whole, and the page
	// that has its body.
	priorQuery = "SELECT p.id, p.generation, p.attempt, p.content_type, p.title, p.size, p.sha256, p.truncated, p.outlinks, p.items, p.rejected_items, " +
		"s.id, s.url, s.fetched_at, s.generation, s.attempt, s.warc_id, s.segment IS NOT NULL " +
		"FROM pages p JOIN pages s ON s.id = CASE p.revisit WHEN 0 THEN p.id ELSE p.revisit END " +
		"WHERE p.crawl = ? AND p.url_key = ? AND p.kind = ? AND p.status BETWEEN 200 AND 299 AND p.error = '' " +
		"ORDER BY p.generation DESC, p.attempt DESC LIMIT 1"
	priorItemsQuery = "SELECT i.rule, i.idx, i.json FROM pages p JOIN items i ON i.page = p.id " +
		"WHERE p.crawl = ? AND p.url_key = ? AND p.kind = ? ORDER BY i.id LIMIT ?"
	supersedeQuery        = "DELETE FROM items WHERE page IN (SELECT id FROM pages WHERE crawl = ? AND url_key = ? AND kind = ? AND (generation, attempt) < (?, ?))"
	supersedeRejectsQuery = "DELETE FROM rejects WHERE page IN (SELECT id FROM pages WHERE crawl = ? AND url_key = ? AND kind = ? AND (generation, attempt) < (?, ?))"
)

// Prior returns the newest page of a URL that a visit may find unchanged; nil
// without one.
func (c *Catalogue) Prior(ctx context.Context, k Key) (*Prior, error) {
	number, err := c.numberOf(ctx, k.Crawl)
	if err != nil {
		return nil, err
	}
	p := &Prior{}
	p.Key, p.Source.Key = k, k
	var fetched string
	err = c.prior.QueryRowContext(ctx, number, k.URL[:], int64(k.Kind)).Scan(
		&p.ID, &p.Generation, &p.Attempt, &p.ContentType, &p.Title, &p.Size, &p.SHA256, &p.Truncated, &p.Outlinks, &p.ItemCount, &p.RejectedItems,
		&p.Source.ID, &p.Source.CanonicalURL, &fetched, &p.Source.Generation, &p.Source.Attempt, &p.Source.RecordID, &p.Archived)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	p.Source.FetchedAt = parseTime(fetched)
	return p, c.wrap("read the last visit", err)
}

// PriorItems returns the items that the visits of a URL left, at most limit.
func (c *Catalogue) PriorItems(ctx context.Context, k Key, limit int) ([]Item, error) {
	number, err := c.numberOf(ctx, k.Crawl)
	if err != nil {
		return nil, err
	}
	rows, err := c.priorItems.QueryContext(ctx, number, k.URL[:], int64(k.Kind), limit)
	if err != nil {
		return nil, c.wrap("read the last items", err)
	}
	defer rows.Close()
	var all []Item
	for rows.Next() {
		var it Item
		if err := rows.Scan(&it.Rule, &it.Index, &it.JSON); err != nil {
			return nil, c.wrap("read the last items", err)
		}
		all = append(all, it)
	}
	return all, c.wrap("read the last items", rows.Err())
}

// numberOf returns the number of a crawl.
func (c *Catalogue) numberOf(ctx context.Context, id string) (int64, error) {
	if n, ok := c.crawls[id]; ok {
		return n, nil
	}
	return c.crawlNumber(ctx, id)
}
