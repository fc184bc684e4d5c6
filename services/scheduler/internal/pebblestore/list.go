package pebblestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// Scan reads at most n records of a crawl in the order of Ref, beginning after
// ref (zero but for Crawl: at the start). A queued URL's record has its URL here too.
func (s *Store) Scan(ctx context.Context, from frontier.Ref, n int) ([]frontier.URLRow, error) {
	var out []frontier.URLRow
	for p := from.Partition; p < s.cfg.Partitions && len(out) < n; p++ {
		lower := binary.BigEndian.AppendUint32(prefix(nil, p, kindURL), uint32(from.Crawl))
		opts := bounds(lower)
		if p == from.Partition && (from.Host != 0 || from.Key != frontier.Key{}) {
			opts.LowerBound = append(urlKey(nil, &from), 0)
		}
		var err error
		if out, err = s.scan(opts, out, n); err != nil {
			return nil, s.fatal.wrap("scan", err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// scan appends the records of one partition, from one snapshot, so that a queued
// URL is still in its queue.
func (s *Store) scan(opts *pebble.IterOptions, out []frontier.URLRow, n int) (_ []frontier.URLRow, err error) {
	db := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, db.Close()) }()
	err = each(db, opts, func(k, v []byte) error {
		if len(out) >= n {
			return errStop
		}
		ref, valid := parseURLKey(k)
		rec, err := rows.DecodeRecord(v, true)
		if !valid || err != nil {
			return errors.Join(rows.ErrCorrupt, err)
		}
		if rec.State == frontier.URLQueued {
			item, err := get(db, queueKey(nil, ref.Partition, ref.Crawl, ref.Host, rec.QKey),
				func(v []byte) (frontier.Item, error) { return rows.DecodeItem(rec.QKey, v) })
			if err != nil {
				return err
			}
			rec.URL = item.URL.String()
		}
		out = append(out, frontier.URLRow{Ref: ref, Record: rec})
		return nil
	})
	return out, err
}

// ScanHosts reads at most n hosts of a partition in the order of their ids,
// beginning after after.Host: those with rows in crawl after.Crawl, or all.
func (s *Store) ScanHosts(ctx context.Context, after frontier.HostRef, n int) ([]frontier.HostState, error) {
	if n <= 0 {
		return nil, nil
	}
	var out []frontier.HostState
	var err error
	if after.Crawl == 0 {
		out, err = s.scanAllHosts(after, n)
	} else {
		out, err = s.scanCrawlHosts(after, n)
	}
	if err != nil {
		return nil, s.fatal.wrap("scan hosts", err)
	}
	return out, ctx.Err()
}

// scanAllHosts reads hosts whatever the crawl.
func (s *Store) scanAllHosts(after frontier.HostRef, n int) ([]frontier.HostState, error) {
	opts := bounds(prefix(nil, after.Partition, kindHost))
	if after.Host != 0 {
		opts.LowerBound = append(plainKey(nil, after.Partition, kindHost, after.Host), 0)
	}
	var out []frontier.HostState
	err := each(s.db, opts, func(k, v []byte) error {
		id, ok := parsePlainKey(k)
		h, err := rows.DecodeHost(v)
		if err != nil || !ok {
			return errors.Join(rows.ErrCorrupt, err)
		}
		h.Partition, h.Host = after.Partition, id
		ref := frontier.HostRef{Partition: after.Partition, Host: id}
		if out = append(out, frontier.HostState{Ready: frontier.ReadyRow{HostRef: ref}, Host: h}); len(out) == n {
			return errStop
		}
		return nil
	})
	return out, err
}

// scanCrawlHosts reads hosts with rows of a crawl: the first n of those with work
// and of those without, merged.
func (s *Store) scanCrawlHosts(after frontier.HostRef, n int) ([]frontier.HostState, error) {
	var out []frontier.HostState
	for _, kind := range []byte{kindReady, kindIdle} {
		opts := bounds(crawlKey(nil, after.Partition, kind, after.Crawl))
		if after.Host != 0 {
			opts.LowerBound = append(hostKey(nil, kind, after.Partition, after.Crawl, after.Host), 0)
		}
		taken := 0
		err := each(s.db, opts, func(k, v []byte) error {
			ref, ok := parseHostKey(k)
			r, err := rows.DecodeReady(ref, v)
			if err != nil || !ok {
				return errors.Join(rows.ErrCorrupt, err)
			}
			out = append(out, frontier.HostState{Ready: r})
			if taken++; taken == n {
				return errStop
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b frontier.HostState) int { return cmp.Compare(a.Ready.Host, b.Ready.Host) })
	// A row that moved between the two readings may be there twice.
	out = slices.CompactFunc(out, func(a, b frontier.HostState) bool { return a.Ready.Host == b.Ready.Host })
	out = out[:min(n, len(out))]
	f, err := s.finder()
	if err != nil {
		return nil, err
	}
	for i := range out {
		row, failed := f.hostRow(after.Partition, out[i].Ready.Host)
		out[i].Host, err = row, errors.Join(err, failed)
	}
	return out, errors.Join(err, f.Close())
}

// Crawl reads a crawl as it was last written, nil when there is none.
func (s *Store) Crawl(ctx context.Context, no frontier.CrawlNo) (*frontier.Crawl, error) {
	c, err := get(s.db, crawlKey(nil, global, kindCrawl, no), func(v []byte) (*frontier.Crawl, error) {
		c, err := rows.DecodeCrawl(v)
		return &c, err
	})
	if err != nil {
		return nil, s.fatal.wrap("read crawl", err)
	}
	return c, ctx.Err()
}

// Totals reads what each crawl's partitions add up to, from one snapshot of the
// database. It reads all leases, of which there are only as many as can be fetched
// at a time.
func (s *Store) Totals(ctx context.Context, nos []frontier.CrawlNo) ([]frontier.Totals, error) {
	db := s.db.NewSnapshot()
	out := make([]frontier.Totals, len(nos))
	at := make(map[frontier.CrawlNo]*frontier.Totals, len(nos))
	for i, no := range nos {
		out[i].No = no
		at[no] = &out[i]
	}
	var err error
	for p := uint32(0); p < s.cfg.Partitions && err == nil; p++ {
		err = errors.Join(partTotals(db, p, at), ctx.Err())
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, s.fatal.wrap("read totals", err)
	}
	for i, no := range nos { // a number that was asked for twice
		out[i] = *at[no]
	}
	return out, nil
}

// partTotals adds the rows of a partition.
func partTotals(db pebble.Reader, p uint32, at map[frontier.CrawlNo]*frontier.Totals) error {
	for no, t := range at {
		key := crawlKey(nil, p, kindStats, no)
		row, err := get(db, key, func(v []byte) (*frontier.StatsRow, error) {
			r, err := rows.DecodeStats(v)
			return &r, err
		})
		if err != nil {
			return fmt.Errorf("counters: %w", err)
		}
		if row != nil {
			row.Partition, row.No = p, no
			t.Parts = append(t.Parts, *row)
		}
	}
	err := each(db, bounds(prefix(nil, p, kindLease)), func(_, v []byte) error {
		l, err := rows.DecodeLease(0, p, v)
		if err != nil || l.Void || l.Robots {
			return err
		}
		if t := at[l.Crawl]; t != nil && len(t.Parts) > 0 && t.Parts[len(t.Parts)-1].Partition == p {
			rows.Lease(&t.Parts[len(t.Parts)-1].Stats, 1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	return each(db, bounds(prefix(nil, p, kindOutbox)), func(_, v []byte) error {
		r, err := rows.DecodeOutbox(v)
		if t := at[r.Crawl]; err == nil && t != nil {
			t.Outbox += uint64(len(r.Links))
		}
		return err
	})
}
