package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// visits makes arrays of keys.
func (s *Store) visits(ctx context.Context, keys []catalogue.Key) (*visits, error) {
	v := &visits{}
	for i := range keys {
		n, err := s.numberOf(ctx, keys[i].Crawl)
		if err != nil {
			return nil, err
		}
		v.add(i, n, &keys[i])
	}
	return v, nil
}

// Known reports for each key what is committed of its attempt.
func (s *Store) Known(ctx context.Context, keys []catalogue.Key) ([]catalogue.Known, error) {
	if s.unsettled != nil {
		return nil, s.unsettled
	}
	v, err := s.visits(ctx, keys)
	if err != nil {
		return nil, err
	}
	known := make([]catalogue.Known, len(keys))
	err = s.retry(ctx, "look up attempts", func(ctx context.Context) error {
		rows, err := v.query(ctx, s.pool, "SELECT v.at, p.error = '', p.duplicate_of <> 0 FROM "+unnestVisits+
			"JOIN pages p ON p.key = v.key AND p.generation = v.generation AND p.attempt = v.attempt AND p.kind = v.kind")
		if err != nil {
			return err
		}
		var at int32
		var good, duplicate bool
		_, err = pgx.ForEachRow(rows, []any{&at, &good, &duplicate}, func() error {
			known[at] = catalogue.Known{State: catalogue.Failed, Duplicate: duplicate}
			if good {
				known[at].State = catalogue.Good
			}
			return nil
		})
		return err
	})
	return known, err
}

// Priors returns for each key the newest page of its URL.
func (s *Store) Priors(ctx context.Context, keys []catalogue.Key) ([]*catalogue.Prior, error) {
	v, err := s.visits(ctx, keys)
	if err != nil {
		return nil, err
	}
	all := make([]*catalogue.Prior, len(keys))
	err = s.retry(ctx, "read the last visits", func(ctx context.Context) error {
		rows, err := v.query(ctx, s.pool, "SELECT v.at, p.id, p.generation, p.attempt, p.content_type, p.title, p.language, p.size, p.sha256, p.truncated, p.outlinks, p.items, p.items_digest, "+
			"p.rejected_items, p.duplicate_of, p.near_of, p.simhash, p.revision, s.id, s.url, s.fetched_at, s.generation, s.attempt, s.warc_id, s.segment <> 0 FROM "+unnestVisits+
			"CROSS JOIN LATERAL (SELECT * FROM pages WHERE key = v.key AND kind = v.kind AND status BETWEEN 200 AND 299 AND error = '' ORDER BY generation DESC, attempt DESC LIMIT 1) AS p "+
			"JOIN pages s ON s.id = CASE p.revisit WHEN 0 THEN p.id ELSE p.revisit END")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			p := &catalogue.Prior{}
			var at int32
			var digest, hash int64
			if err := rows.Scan(&at, &p.ID, &p.Generation, &p.Attempt, &p.ContentType, &p.Title, &p.Language, &p.Size, &p.SHA256, &p.Truncated, &p.Outlinks, &p.ItemCount, &digest,
				&p.RejectedItems, &p.DuplicateOf, &p.NearOf, &hash, &p.Revision,
				&p.Source.ID, &p.Source.CanonicalURL, &p.Source.FetchedAt, &p.Source.Generation, &p.Source.Attempt, &p.Source.RecordID, &p.Archived); err != nil {
				return err
			}
			k := keys[at]
			p.Crawl, p.URL, p.Kind = k.Crawl, k.URL, k.Kind
			p.Source.Crawl, p.Source.URL, p.Source.Kind = k.Crawl, k.URL, k.Kind
			p.ItemsDigest, p.SimHash = uint64(digest), uint64(hash)
			p.Source.FetchedAt = p.Source.FetchedAt.UTC()
			all[at] = p
		}
		return rows.Err()
	})
	return all, err
}
