package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

func knownQuery() string {
	return "WITH k(n, crawl, url_key, generation, attempt, kind) AS (VALUES " + values(6, rowsAtOnce) + ") " +
		"SELECT k.n, p.error = '', p.duplicate_of <> 0 FROM k CROSS JOIN pages p ON p.crawl = k.crawl AND p.url_key = k.url_key " +
		"AND p.generation = k.generation AND p.attempt = k.attempt AND p.kind = k.kind"
}

// Known reports for each key what is committed of its attempt.
func (s *Store) Known(ctx context.Context, keys []catalogue.Key) ([]catalogue.Known, error) {
	known := make([]catalogue.Known, len(keys))
	for start := 0; start < len(keys); start += rowsAtOnce {
		s.args = s.args[:0]
		for i := range rowsAtOnce {
			// A short rest is filled up with its first key.
			n := start + i
			if n >= len(keys) {
				n = start
			}
			k := &keys[n]
			number, err := s.numberOf(ctx, s.stmt.addCrawl, k.Crawl)
			if err != nil {
				return nil, err
			}
			s.args = append(s.args, n, number, k.URL[:], int64(k.Generation), int64(k.Attempt), int64(k.Kind))
		}
		if err := s.markKnown(ctx, known); err != nil {
			return nil, s.wrap("look up attempts", err)
		}
	}
	return known, nil
}

func (s *Store) markKnown(ctx context.Context, known []catalogue.Known) error {
	rows, err := s.stmt.known.QueryContext(ctx, s.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var good, duplicate bool
		if err := rows.Scan(&n, &good, &duplicate); err != nil {
			return err
		}
		known[n] = catalogue.Known{State: catalogue.Failed, Duplicate: duplicate}
		if good {
			known[n].State = catalogue.Good
		}
	}
	return rows.Err()
}

// priorQuery finds the newest page of a URL that was read whole, and the page that
// has its body.
const priorQuery = "SELECT p.id, p.generation, p.attempt, p.content_type, p.title, p.language, p.size, p.sha256, p.truncated, p.outlinks, p.items, p.items_digest, p.rejected_items, " +
	"p.duplicate_of, p.near_of, p.simhash, p.revision, s.id, s.url, s.fetched_at, s.generation, s.attempt, s.warc_id, s.segment IS NOT NULL " +
	"FROM pages p JOIN pages s ON s.id = CASE p.revisit WHEN 0 THEN p.id ELSE p.revisit END " +
	"WHERE p.crawl = ? AND p.url_key = ? AND p.kind = ? AND p.status BETWEEN 200 AND 299 AND p.error = '' " +
	"ORDER BY p.generation DESC, p.attempt DESC LIMIT 1"

// Priors returns for each key the newest page of its URL.
func (s *Store) Priors(ctx context.Context, keys []catalogue.Key) ([]*catalogue.Prior, error) {
	all := make([]*catalogue.Prior, len(keys))
	for i := range keys {
		var err error
		if all[i], err = s.priorOf(ctx, keys[i]); err != nil {
			return nil, s.wrap("read the last visit", err)
		}
	}
	return all, nil
}

func (s *Store) priorOf(ctx context.Context, k catalogue.Key) (*catalogue.Prior, error) {
	number, err := s.numberOf(ctx, s.stmt.addCrawl, k.Crawl)
	if err != nil {
		return nil, err
	}
	p := &catalogue.Prior{}
	p.Key, p.Source.Key = k, k
	var fetched string
	var digest, hash int64
	err = s.stmt.prior.QueryRowContext(ctx, number, k.URL[:], int64(k.Kind)).Scan(
		&p.ID, &p.Generation, &p.Attempt, &p.ContentType, &p.Title, &p.Language, &p.Size, &p.SHA256, &p.Truncated, &p.Outlinks, &p.ItemCount, &digest, &p.RejectedItems,
		&p.DuplicateOf, &p.NearOf, &hash, &p.Revision,
		&p.Source.ID, &p.Source.CanonicalURL, &fetched, &p.Source.Generation, &p.Source.Attempt, &p.Source.RecordID, &p.Archived)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	p.ItemsDigest, p.SimHash = uint64(digest), uint64(hash)
	p.Source.FetchedAt = parseTime(fetched)
	return p, err
}
