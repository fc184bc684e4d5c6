package sqlstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// load reads what a frontier takes a partition up with, in one round trip. Nobody
// writes the partition meanwhile.
func (s *Store) load(ctx context.Context, snap *frontier.Snapshot) error {
	b := &pgx.Batch{}
	p := int32(snap.Partition)
	b.Queue("SELECT body FROM crawl WHERE home = $1 ORDER BY crawl", p).Query(func(rs pgx.Rows) (err error) {
		snap.Crawls, err = readCrawls(rs, nil)
		return err
	})
	b.Queue("SELECT crawl, quota, body FROM stats WHERE part = $1 ORDER BY crawl", p).Query(func(rs pgx.Rows) error {
		return each(rs, func(r frontier.StatsRow) { snap.Stats = append(snap.Stats, r) }, func(r pgx.CollectableRow) (frontier.StatsRow, error) {
			return scanStats(r, p)
		})
	})
	b.Queue("SELECT id, body FROM lease WHERE part = $1 ORDER BY id", p).Query(func(rs pgx.Rows) error {
		return each(rs, func(r frontier.LeaseRow) { snap.Leases = append(snap.Leases, r) }, func(r pgx.CollectableRow) (frontier.LeaseRow, error) {
			var id int64
			var body []byte
			if err := r.Scan(&id, &body); err != nil {
				return frontier.LeaseRow{}, err
			}
			return rows.DecodeLease(frontier.LeaseID(id), snap.Partition, body)
		})
	})
	b.Queue("SELECT seq, body FROM outbox WHERE part = $1 ORDER BY seq", p).Query(func(rs pgx.Rows) error {
		return each(rs, func(r frontier.OutboxRow) { snap.Outbox = append(snap.Outbox, r) }, func(r pgx.CollectableRow) (frontier.OutboxRow, error) {
			var seq int64
			var body []byte
			if err := r.Scan(&seq, &body); err != nil {
				return frontier.OutboxRow{}, err
			}
			o, err := rows.DecodeOutbox(body)
			o.Partition, o.Seq = snap.Partition, unsigned(seq)
			return o, err
		})
	})
	b.Queue(askReady, p).Query(func(rs pgx.Rows) error { return loadHosts(rs, snap) })
	if err := s.pool.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return s.loadLeased(ctx, snap)
}

// scanStats reads the counters of a crawl in a partition.
func scanStats(r pgx.CollectableRow, p int32) (frontier.StatsRow, error) {
	var no int32
	var quota int64
	var body []byte
	if err := r.Scan(&no, &quota, &body); err != nil {
		return frontier.StatsRow{}, err
	}
	st, err := rows.DecodeStats(body)
	st.Partition, st.No, st.Quota = uint32(p), frontier.CrawlNo(no), quota
	return st, err
}

// each reads all rows of a result.
func each[T any](rs pgx.Rows, take func(T), scan func(pgx.CollectableRow) (T, error)) error {
	defer rs.Close()
	for rs.Next() {
		v, err := scan(rs)
		if err != nil {
			return err
		}
		take(v)
	}
	return rs.Err()
}

// loadHosts reads the hosts with work.
func loadHosts(rs pgx.Rows, snap *frontier.Snapshot) error {
	have := make(map[frontier.HostID]struct{})
	return each(rs, func(st frontier.HostState) {
		snap.Ready = append(snap.Ready, st.Ready)
		if _, dup := have[st.Host.Host]; !dup {
			have[st.Host.Host] = struct{}{}
			snap.Hosts = append(snap.Hosts, st.Host)
		}
	}, func(r pgx.CollectableRow) (frontier.HostState, error) {
		var no int32
		var host int64
		var ready, politeness []byte
		if err := r.Scan(&no, &host, &ready, &politeness); err != nil {
			return frontier.HostState{}, err
		}
		ref := frontier.HostRef{Partition: snap.Partition, Crawl: frontier.CrawlNo(no), Host: unsigned(host)}
		return hostState(ref, ready, politeness)
	})
}

// hostState decodes the rows of a host, either of which may be missing.
func hostState(ref frontier.HostRef, ready, politeness []byte) (st frontier.HostState, err error) {
	st.Ready.HostRef = ref
	if ready != nil {
		if st.Ready, err = rows.DecodeReady(ref, ready); err != nil {
			return st, err
		}
	}
	if politeness != nil {
		st.Host, err = rows.DecodeHost(politeness)
	}
	st.Host.Partition, st.Host.Host = ref.Partition, ref.Host
	return st, err
}

// loadLeased reads the hosts that have leases and no work.
func (s *Store) loadLeased(ctx context.Context, snap *frontier.Snapshot) error {
	have := make(map[frontier.HostRef]struct{}, len(snap.Ready))
	hosts := make(map[frontier.HostID]struct{}, len(snap.Hosts))
	for i := range snap.Ready {
		have[snap.Ready[i].HostRef] = struct{}{}
		hosts[snap.Ready[i].Host] = struct{}{}
	}
	var ask []frontier.HostRef
	for _, l := range snap.Leases {
		ref := frontier.HostRef{Partition: l.Partition, Crawl: l.Crawl, Host: l.Host}
		if _, ok := have[ref]; !ok {
			have[ref] = struct{}{}
			ask = append(ask, ref)
		}
	}
	states, err := s.hosts(ctx, ask)
	for _, st := range states {
		snap.Ready = append(snap.Ready, st.Ready)
		if _, dup := hosts[st.Host.Host]; !dup {
			hosts[st.Host.Host] = struct{}{}
			snap.Hosts = append(snap.Hosts, st.Host)
		}
	}
	return err
}
