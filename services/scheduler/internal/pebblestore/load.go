package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// loadCrawls reads all crawls and their counters.
func (s *Store) loadCrawls(snap *frontier.Snapshot) error {
	err := s.each(prefix(nil, global, kindCrawl), func(_, v []byte) error {
		c, err := decodeCrawl(v)
		if err != nil {
			return err
		}
		snap.Crawls = append(snap.Crawls, c)
		snap.LastCrawl = max(snap.LastCrawl, c.No)
		return nil
	})
	if err != nil {
		return fmt.Errorf("crawls: %w", err)
	}
	err = s.each(prefix(nil, global, kindStats), func(k, v []byte) error {
		st, err := decodeStats(v)
		if err != nil || len(k) != 7 {
			return errors.Join(errCorrupt, err)
		}
		snap.Stats = append(snap.Stats, frontier.StatsRow{No: frontier.CrawlNo(binary.BigEndian.Uint32(k[3:])), Stats: st})
		return nil
	})
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	return nil
}

// loadPartition reads the hosts with work and the leases of one partition.
func (s *Store) loadPartition(snap *frontier.Snapshot, p uint32) error {
	firstLease := len(snap.Leases)
	err := s.each(prefix(nil, p, kindLease), func(k, v []byte) error {
		if len(k) != 11 {
			return errCorrupt
		}
		l, err := decodeLease(frontier.LeaseID(binary.BigEndian.Uint64(k[3:])), p, v)
		snap.Leases = append(snap.Leases, l)
		return err
	})
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	first := len(snap.Ready)
	leases := snap.Leases[firstLease:]
	err = s.each(prefix(nil, p, kindReady), func(k, v []byte) error {
		ref, ok := parseHostKey(k)
		if !ok {
			return errCorrupt
		}
		r, err := decodeReady(ref, v)
		snap.Ready = append(snap.Ready, r)
		return err
	})
	if err != nil {
		return fmt.Errorf("hosts with work: %w", err)
	}
	if err := s.loadLeased(snap, leases, first); err != nil {
		return err
	}
	return s.loadHosts(snap, p, snap.Ready[first:])
}

// loadLeased reads the counters of hosts that have leases and no work.
func (s *Store) loadLeased(snap *frontier.Snapshot, leases []frontier.LeaseRow, first int) error {
	if len(leases) == 0 {
		return nil
	}
	have := make(map[frontier.HostRef]struct{}, len(snap.Ready)-first)
	for _, r := range snap.Ready[first:] {
		have[r.HostRef] = struct{}{}
	}
	for _, l := range leases {
		ref := frontier.HostRef{Partition: l.Partition, Crawl: l.Crawl, Host: l.Host}
		if _, ok := have[ref]; ok {
			continue
		}
		have[ref] = struct{}{}
		row, err := s.readyRow(ref)
		if err != nil {
			return fmt.Errorf("host %x: %w", l.Host, err)
		}
		snap.Ready = append(snap.Ready, row)
	}
	return nil
}

// loadHosts reads the politeness of the hosts with work.
func (s *Store) loadHosts(snap *frontier.Snapshot, p uint32, ready []frontier.ReadyRow) error {
	have := make(map[frontier.HostID]struct{}, len(ready))
	for i := range ready {
		h := ready[i].Host
		if _, dup := have[h]; dup {
			continue
		}
		have[h] = struct{}{}
		row, err := s.hostRow(s.db, p, h)
		if err != nil {
			return fmt.Errorf("host %x: %w", h, err)
		}
		snap.Hosts = append(snap.Hosts, row)
	}
	return nil
}

// each calls visit with every row of a prefix, in order.
func (s *Store) each(p []byte, visit func(k, v []byte) error) (err error) {
	it, err := s.db.NewIter(bounds(p))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := visit(it.Key(), v); err != nil {
			return err
		}
	}
	return it.Error()
}
