package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// loadPartition reads what a frontier takes a partition up with, but for epoch and
// due times.
func (s *Store) loadPartition(snap *frontier.Snapshot) error {
	p := snap.Partition
	err := s.each(prefix(nil, global, kindCrawl), func(_, v []byte) error {
		if home, err := rows.CrawlHome(v); err != nil || home != p {
			return err
		}
		c, err := rows.DecodeCrawl(v)
		snap.Crawls = append(snap.Crawls, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("crawls: %w", err)
	}
	err = s.each(prefix(nil, p, kindStats), func(k, v []byte) error {
		no, ok := parseCrawlKey(k)
		r, err := rows.DecodeStats(v)
		if err != nil || !ok {
			return errors.Join(rows.ErrCorrupt, err)
		}
		r.Partition, r.No = p, no
		snap.Stats = append(snap.Stats, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	err = s.each(prefix(nil, p, kindLease), func(k, v []byte) error {
		id, ok := parsePlainKey(k)
		l, err := rows.DecodeLease(frontier.LeaseID(id), p, v)
		if err != nil || !ok {
			return errors.Join(rows.ErrCorrupt, err)
		}
		snap.Leases = append(snap.Leases, l)
		return nil
	})
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	err = s.each(prefix(nil, p, kindOutbox), func(k, v []byte) error {
		seq, ok := parsePlainKey(k)
		r, err := rows.DecodeOutbox(v)
		if err != nil || !ok {
			return errors.Join(rows.ErrCorrupt, err)
		}
		r.Partition, r.Seq = p, seq
		snap.Outbox = append(snap.Outbox, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return s.loadReady(snap)
}

// loadReady reads the hosts with work or leases.
func (s *Store) loadReady(snap *frontier.Snapshot) error {
	err := s.each(prefix(nil, snap.Partition, kindReady), func(k, v []byte) error {
		ref, ok := parseHostKey(k)
		r, err := rows.DecodeReady(ref, v)
		if err != nil || !ok {
			return errors.Join(rows.ErrCorrupt, err)
		}
		snap.Ready = append(snap.Ready, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("hosts with work: %w", err)
	}
	f, err := s.finder()
	if err != nil {
		return err
	}
	return errors.Join(f.loadLeased(snap), f.loadHosts(snap), f.Close())
}

// loadLeased reads the counters of hosts that have leases and no work.
func (f finder) loadLeased(snap *frontier.Snapshot) error {
	if len(snap.Leases) == 0 {
		return nil
	}
	have := make(map[frontier.HostRef]struct{}, len(snap.Ready))
	for _, r := range snap.Ready {
		have[r.HostRef] = struct{}{}
	}
	for _, l := range snap.Leases {
		ref := frontier.HostRef{Partition: l.Partition, Crawl: l.Crawl, Host: l.Host}
		if _, ok := have[ref]; ok {
			continue
		}
		have[ref] = struct{}{}
		row, err := f.readyRow(ref)
		if err != nil {
			return fmt.Errorf("host %x: %w", l.Host, err)
		}
		snap.Ready = append(snap.Ready, row)
	}
	return nil
}

// loadHosts reads the politeness of the hosts with work.
func (f finder) loadHosts(snap *frontier.Snapshot) error {
	have := make(map[frontier.HostID]struct{}, len(snap.Ready))
	for i := range snap.Ready {
		h := snap.Ready[i].Host
		if _, dup := have[h]; dup {
			continue
		}
		have[h] = struct{}{}
		row, err := f.hostRow(snap.Partition, h)
		if err != nil {
			return fmt.Errorf("host %x: %w", h, err)
		}
		snap.Hosts = append(snap.Hosts, row)
	}
	return nil
}

// each calls visit with every row of a prefix, in order.
func (s *Store) each(p []byte, visit func(k, v []byte) error) error {
	return each(s.db, bounds(p), visit)
}

// each calls visit with every row within bounds, in order, until it returns errStop.
func each(r pebble.Reader, opts *pebble.IterOptions, visit func(k, v []byte) error) (err error) {
	it, err := r.NewIter(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := visit(it.Key(), v); err == errStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return it.Error()
}

// errStop ends each without an error.
var errStop = errors.New("stop")
