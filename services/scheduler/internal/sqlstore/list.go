package sqlstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Questions of those who list.
const (
	askScan = `SELECT host, key, body FROM url WHERE part = $1 AND crawl = $2 AND (host, key) > ($3, $4)
		ORDER BY host, key LIMIT $5`
	askItems = `SELECT t.i, q.body
		FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) WITH ORDINALITY AS t(part, crawl, host, priority, seq, i)
		JOIN queue AS q ON q.part = t.part AND q.crawl = t.crawl AND q.host = t.host AND q.priority = t.priority AND q.seq = t.seq`
	askAllHosts   = `SELECT host, NULL::bytea, body FROM host WHERE part = $1 AND host > $2 ORDER BY host LIMIT $3`
	askCrawlHosts = `SELECT r.host, r.body, h.body FROM ready AS r LEFT JOIN host AS h ON h.part = r.part AND h.host = r.host
		WHERE r.part = $1 AND r.crawl = $4 AND r.host > $2 ORDER BY r.host LIMIT $3`
	// One statement, so that all is as of one moment. The rows of leases are few
	// enough to be read all.
	askTotals = `SELECT 0 AS kind, crawl, part, quota AS n, body FROM stats WHERE crawl = ANY($1)
		UNION ALL SELECT 1, crawl, part, count(*), NULL FROM lease WHERE counts AND crawl = ANY($1) GROUP BY crawl, part
		UNION ALL SELECT 2, crawl, part, sum(links)::bigint, NULL FROM outbox WHERE crawl = ANY($1) GROUP BY crawl, part
		ORDER BY kind, crawl, part`
)

// Scan reads at most n records of a crawl in the order of Ref, beginning after ref
// (zero but for Crawl: at the start). A queued URL's record has its URL here too.
func (s *Store) Scan(ctx context.Context, from frontier.Ref, n int) ([]frontier.URLRow, error) {
	var out []frontier.URLRow
	for p := from.Partition; p < s.cfg.Partitions && len(out) < n; p++ {
		if p > from.Partition {
			from = frontier.Ref{Crawl: from.Crawl, Partition: p}
		}
		had := len(out)
		err := s.retry(ctx, "scan", func(ctx context.Context) (err error) {
			out, err = s.scan(ctx, from, n, out[:had])
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scan appends the records of one partition until there are n.
func (s *Store) scan(ctx context.Context, from frontier.Ref, n int, out []frontier.URLRow) ([]frontier.URLRow, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return out, err
	}
	defer rollback(tx)
	had := len(out)
	key := from.Key[:]
	if from.Host == 0 && from.Key == (frontier.Key{}) {
		key = []byte{} // before all keys of host 0
	}
	rs, err := tx.Query(ctx, askScan, int32(from.Partition), int32(from.Crawl), signed(from.Host), key, n-had)
	if err != nil {
		return out, err
	}
	var host int64
	var k, body []byte
	var queued hostRows
	var at []int
	_, err = pgx.ForEachRow(rs, []any{&host, &k, &body}, func() error {
		r, err := ref(int32(from.Partition), int32(from.Crawl), host, k)
		if err != nil {
			return err
		}
		rec, err := rows.DecodeRecord(body, true)
		if rec.State == frontier.URLQueued {
			queued.at(r.Partition, r.Crawl, r.Host)
			queued.priority, queued.num = append(queued.priority, rec.Priority), append(queued.num, signed(rec.Seq))
			at = append(at, len(out))
		}
		out = append(out, frontier.URLRow{Ref: r, Record: rec})
		return err
	})
	if err != nil || len(at) == 0 {
		return out, err
	}
	rs, err = tx.Query(ctx, askItems, queued.part, queued.crawl, queued.host, queued.priority, queued.num)
	if err != nil {
		return out, err
	}
	var i int64
	_, err = pgx.ForEachRow(rs, []any{&i, &body}, func() error {
		rec := &out[at[i-1]].Record
		it, err := rows.DecodeItem(rec.QKey, body)
		rec.URL = it.URL.String()
		return err
	})
	return out, err
}

// ScanHosts reads at most n hosts of a partition in the order of their ids,
// beginning after after.Host: those with rows in crawl after.Crawl, or all.
func (s *Store) ScanHosts(ctx context.Context, after frontier.HostRef, n int) (out []frontier.HostState, err error) {
	err = s.retry(ctx, "scan hosts", func(ctx context.Context) error {
		out = nil
		sql, args := askAllHosts, []any{int32(after.Partition), signed(after.Host), n}
		if after.Crawl != 0 {
			sql, args = askCrawlHosts, append(args, int32(after.Crawl))
		}
		rs, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		var host int64
		var ready, politeness []byte
		_, err = pgx.ForEachRow(rs, []any{&host, &ready, &politeness}, func() error {
			st, err := hostState(frontier.HostRef{Partition: after.Partition, Crawl: after.Crawl, Host: unsigned(host)}, ready, politeness)
			out = append(out, st)
			return err
		})
		return err
	})
	return out, err
}

// Crawl reads a crawl as it was last written, nil when there is none.
func (s *Store) Crawl(ctx context.Context, no frontier.CrawlNo) (out *frontier.Crawl, err error) {
	err = s.retry(ctx, "read crawl", func(ctx context.Context) error {
		out = nil
		crawls, err := readCrawls(s.pool.Query(ctx, "SELECT body FROM crawl WHERE crawl = $1", int32(no)))
		if len(crawls) > 0 {
			out = &crawls[0]
		}
		return err
	})
	return out, err
}

// Totals reads what each crawl's partitions add up to, as of one moment.
func (s *Store) Totals(ctx context.Context, nos []frontier.CrawlNo) (out []frontier.Totals, err error) {
	if len(nos) == 0 {
		return nil, nil
	}
	err = s.retry(ctx, "read totals", func(ctx context.Context) (err error) {
		out, err = s.totals(ctx, nos)
		return err
	})
	return out, err
}

// totals reads them once.
func (s *Store) totals(ctx context.Context, nos []frontier.CrawlNo) ([]frontier.Totals, error) {
	ask := make([]int32, len(nos))
	of := make(map[int32]*frontier.Totals, len(nos))
	for i, no := range nos {
		ask[i] = int32(no)
		of[ask[i]] = &frontier.Totals{No: no}
	}
	rs, err := s.pool.Query(ctx, askTotals, ask)
	if err != nil {
		return nil, err
	}
	var kind, no, part int32
	var n int64
	var body []byte
	_, err = pgx.ForEachRow(rs, []any{&kind, &no, &part, &n, &body}, func() error {
		t := of[no]
		switch kind {
		case 0:
			st, err := rows.DecodeStats(body)
			st.Partition, st.No, st.Quota = uint32(part), t.No, n
			t.Parts = append(t.Parts, st)
			return err
		case 1:
			for i := range t.Parts {
				if t.Parts[i].Partition == uint32(part) {
					rows.Lease(&t.Parts[i].Stats, uint64(n))
				}
			}
		default:
			t.Outbox += uint64(n)
		}
		return nil
	})
	out := make([]frontier.Totals, len(nos))
	for i := range nos {
		out[i] = *of[ask[i]]
	}
	return out, err
}
