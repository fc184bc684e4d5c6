package sqlstore

import (
	"cmp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/rows"
)

// writer turns a batch into arrays, one for each column. It keeps its memory from
// one batch to the next.
type writer struct {
	touched rows.Partitions
	arena   []byte // bodies
	order   []int32

	urls, queued, unqueued, delayed, undelayed hostRows
	ready, hosts, robots, unrobots, jars       hostRows
	crawls, stats, leases, unleased            numberRows
	outbox, unboxed                            numberRows
}

// hostRows are rows of hosts. Not every kind has all columns.
type hostRows struct {
	part, crawl, priority []int32
	host, num             []int64 // num is the place in a queue, or the due time
	key, body             [][]byte
	work                  []bool
}

func (r *hostRows) reset() {
	r.part, r.crawl, r.priority = r.part[:0], r.crawl[:0], r.priority[:0]
	r.host, r.num = r.host[:0], r.num[:0]
	clear(r.key)
	clear(r.body)
	r.key, r.body, r.work = r.key[:0], r.body[:0], r.work[:0]
}

// at appends the columns that find a host.
func (r *hostRows) at(part uint32, no frontier.CrawlNo, host frontier.HostID) {
	r.part, r.crawl, r.host = append(r.part, int32(part)), append(r.crawl, int32(no)), append(r.host, signed(host))
}

// numberRows are rows with a number.
type numberRows struct {
	part, crawl []int32
	links       []int32
	num         []int64
	text        []string
	counts      []bool
	body        [][]byte
}

func (r *numberRows) reset() {
	clear(r.body)
	clear(r.text)
	r.part, r.crawl, r.links, r.num = r.part[:0], r.crawl[:0], r.links[:0], r.num[:0]
	r.text, r.counts, r.body = r.text[:0], r.counts[:0], r.body[:0]
}

// maxArena bounds the memory for bodies that is kept.
const maxArena = 4 << 20

// encode fills the arrays. They refer to b until the next call.
func (w *writer) encode(b *frontier.Batch) error {
	for _, r := range []*hostRows{&w.urls, &w.queued, &w.unqueued, &w.delayed, &w.undelayed, &w.ready, &w.hosts, &w.robots, &w.unrobots, &w.jars} {
		r.reset()
	}
	for _, r := range []*numberRows{&w.crawls, &w.stats, &w.leases, &w.unleased, &w.outbox, &w.unboxed} {
		r.reset()
	}
	if cap(w.arena) > maxArena {
		w.arena = nil
	}
	w.arena = w.arena[:0]
	w.encodeURLs(b.URLs)
	w.encodeQueue(b.Queue)
	w.encodeDue(b.Due)
	w.encodeHosts(b)
	return w.encodeNumbers(b)
}

// body ends a body that began at from. When the arena grows, what was taken from
// the old one stays with it.
func (w *writer) body(from int) []byte { return w.arena[from:len(w.arena):len(w.arena)] }

// sorted returns the indexes of n rows in an order, in which equal ones stay as they
// were. In the order of the primary key rows find their pages warm, and locks are
// taken in the same order by all.
func (w *writer) sorted(n int, compare func(a, b int32) int) []int32 {
	w.order = w.order[:0]
	for i := range n {
		w.order = append(w.order, int32(i))
	}
	slices.SortStableFunc(w.order, compare)
	return w.order
}

func (w *writer) encodeURLs(urls []frontier.URLRow) {
	for _, i := range w.sorted(len(urls), func(a, b int32) int { return rows.CompareRefs(&urls[a].Ref, &urls[b].Ref) }) {
		r := &urls[i]
		from := len(w.arena)
		w.arena = rows.AppendRecord(w.arena, &r.Record)
		w.urls.at(r.Ref.Partition, r.Ref.Crawl, r.Ref.Host)
		w.urls.key, w.urls.body = append(w.urls.key, r.Ref.Key[:]), append(w.urls.body, w.body(from))
	}
}

// encodeQueue keeps the last row of each place only.
func (w *writer) encodeQueue(q []frontier.QueueRow) {
	compare := func(a, b int32) int {
		x, y := &q[a], &q[b]
		return cmp.Or(cmp.Compare(x.Ref.Partition, y.Ref.Partition), cmp.Compare(x.Ref.Crawl, y.Ref.Crawl),
			cmp.Compare(x.Ref.Host, y.Ref.Host), x.Item.QKey.Compare(y.Item.QKey))
	}
	order := w.sorted(len(q), compare)
	for n, i := range order {
		if n+1 < len(order) && compare(i, order[n+1]) == 0 {
			continue
		}
		r, to := &q[i], &w.queued
		if r.Delete {
			to = &w.unqueued
		} else {
			from := len(w.arena)
			w.arena = rows.AppendItem(w.arena, &r.Item)
			to.body = append(to.body, w.body(from))
		}
		to.at(r.Ref.Partition, r.Ref.Crawl, r.Ref.Host)
		to.priority, to.num = append(to.priority, r.Item.Priority), append(to.num, signed(r.Item.Seq))
	}
}

// encodeDue keeps the last row of each entry only.
func (w *writer) encodeDue(d []frontier.DueRow) {
	compare := func(a, b int32) int {
		x, y := &d[a], &d[b]
		return cmp.Or(cmp.Compare(x.Ref.Partition, y.Ref.Partition), cmp.Compare(rows.Millis(x.At), rows.Millis(y.At)),
			rows.CompareRefs(&x.Ref, &y.Ref))
	}
	order := w.sorted(len(d), compare)
	for n, i := range order {
		if n+1 < len(order) && compare(i, order[n+1]) == 0 {
			continue
		}
		r, to := &d[i], &w.delayed
		if r.Delete {
			to = &w.undelayed
		}
		to.at(r.Ref.Partition, r.Ref.Crawl, r.Ref.Host)
		to.num, to.key = append(to.num, int64(rows.Millis(r.At))), append(to.key, r.Ref.Key[:])
	}
}

// encodeHosts fills the rows that a host has one of.
func (w *writer) encodeHosts(b *frontier.Batch) {
	for _, i := range w.sorted(len(b.Ready), func(x, y int32) int { return compareHosts(&b.Ready[x].HostRef, &b.Ready[y].HostRef) }) {
		r := &b.Ready[i]
		from := len(w.arena)
		w.arena = rows.AppendReady(w.arena, r)
		w.ready.at(r.Partition, r.Crawl, r.Host)
		w.ready.body, w.ready.work = append(w.ready.body, w.body(from)), append(w.ready.work, r.Rows > 0)
	}
	for _, i := range w.sorted(len(b.Hosts), func(x, y int32) int {
		return cmp.Or(cmp.Compare(b.Hosts[x].Partition, b.Hosts[y].Partition), cmp.Compare(b.Hosts[x].Host, b.Hosts[y].Host))
	}) {
		r := &b.Hosts[i]
		from := len(w.arena)
		w.arena = rows.AppendHost(w.arena, r)
		w.hosts.at(r.Partition, 0, r.Host)
		w.hosts.body = append(w.hosts.body, w.body(from))
	}
	for i := range b.Robots {
		r, to := &b.Robots[i], &w.robots
		if len(r.Text) == 0 {
			to = &w.unrobots
		} else {
			to.body = append(to.body, r.Text)
		}
		to.at(r.Partition, 0, r.Host)
	}
	for _, i := range w.sorted(len(b.Jars), func(x, y int32) int {
		p, q := &b.Jars[x], &b.Jars[y]
		return cmp.Or(cmp.Compare(p.Partition, q.Partition), cmp.Compare(p.Crawl, q.Crawl), cmp.Compare(p.Site, q.Site))
	}) {
		r := &b.Jars[i]
		from := len(w.arena)
		w.arena = rows.AppendJar(w.arena, r)
		w.jars.at(r.Partition, r.Crawl, r.Site)
		w.jars.body = append(w.jars.body, w.body(from))
	}
}

func compareHosts(a, b *frontier.HostRef) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Crawl, b.Crawl), cmp.Compare(a.Host, b.Host))
}

// encodeNumbers fills the rows that have a number.
func (w *writer) encodeNumbers(b *frontier.Batch) error {
	for i := range b.Crawls {
		c := &b.Crawls[i]
		v, err := rows.AppendCrawl(nil, c)
		if err != nil {
			return err
		}
		w.crawls.part, w.crawls.crawl = append(w.crawls.part, int32(c.Home)), append(w.crawls.crawl, int32(c.No))
		w.crawls.text, w.crawls.body = append(w.crawls.text, c.ID), append(w.crawls.body, v)
	}
	for i := range b.Stats {
		r := &b.Stats[i]
		from := len(w.arena)
		w.arena = rows.AppendStats(w.arena, r)
		w.stats.part, w.stats.crawl = append(w.stats.part, int32(r.Partition)), append(w.stats.crawl, int32(r.No))
		w.stats.body = append(w.stats.body, w.body(from))
	}
	for i := range b.Leases {
		r, to := &b.Leases[i], &w.leases
		if r.Delete {
			to = &w.unleased
		} else {
			from := len(w.arena)
			w.arena = rows.AppendLease(w.arena, r)
			to.crawl, to.counts = append(to.crawl, int32(r.Crawl)), append(to.counts, !r.Void && !r.Robots)
			to.body = append(to.body, w.body(from))
		}
		to.part, to.num = append(to.part, int32(r.Partition)), append(to.num, int64(r.ID))
	}
	for i := range b.Outbox {
		r, to := &b.Outbox[i], &w.outbox
		if r.Delete {
			to = &w.unboxed
		} else {
			from := len(w.arena)
			w.arena = rows.AppendOutbox(w.arena, r)
			to.crawl, to.links = append(to.crawl, int32(r.Crawl)), append(to.links, int32(len(r.Links)))
			to.body = append(to.body, w.body(from))
		}
		to.part, to.num = append(to.part, int32(r.Partition)), append(to.num, signed(r.Seq))
	}
	return nil
}

// Statements of rows.
const (
	putURLs = `INSERT INTO url (part, crawl, host, key, body)
		SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[])
		ON CONFLICT (part, crawl, host, key) DO UPDATE SET body = excluded.body`
	putQueue = `INSERT INTO queue (part, crawl, host, priority, seq, body)
		SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bigint[], $6::bytea[])
		ON CONFLICT (part, crawl, host, priority, seq) DO UPDATE SET body = excluded.body`
	dropQueue = `DELETE FROM queue AS q
		USING unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS t(part, crawl, host, priority, seq)
		WHERE q.part = t.part AND q.crawl = t.crawl AND q.host = t.host AND q.priority = t.priority AND q.seq = t.seq`
	putDue = `INSERT INTO due (part, at, crawl, host, key)
		SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bytea[])
		ON CONFLICT (part, at, crawl, host, key) DO NOTHING`
	dropDue = `DELETE FROM due AS d
		USING unnest($1::int[], $2::bigint[], $3::int[], $4::bigint[], $5::bytea[]) AS t(part, at, crawl, host, key)
		WHERE d.part = t.part AND d.at = t.at AND d.crawl = t.crawl AND d.host = t.host AND d.key = t.key`
	putReady = `INSERT INTO ready (part, crawl, host, work, body)
		SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bool[], $5::bytea[])
		ON CONFLICT (part, crawl, host) DO UPDATE SET work = excluded.work, body = excluded.body`
	putHosts = `INSERT INTO host (part, host, body) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])
		ON CONFLICT (part, host) DO UPDATE SET body = excluded.body`
	putRobots = `INSERT INTO robots (part, host, body) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bytea[])
		ON CONFLICT (part, host) DO UPDATE SET body = excluded.body`
	dropRobots = `DELETE FROM robots AS r USING unnest($1::int[], $2::bigint[]) AS t(part, host)
		WHERE r.part = t.part AND r.host = t.host`
	putJars = `INSERT INTO jar (part, crawl, site, body) SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[])
		ON CONFLICT (part, crawl, site) DO UPDATE SET body = excluded.body`
	putCrawls = `INSERT INTO crawl (crawl, id, home, body) SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::bytea[])
		ON CONFLICT (crawl) DO UPDATE SET id = excluded.id, home = excluded.home, body = excluded.body`
	putStats = `INSERT INTO stats (crawl, part, body) SELECT * FROM unnest($1::int[], $2::int[], $3::bytea[])
		ON CONFLICT (crawl, part) DO UPDATE SET body = excluded.body`
	putLeases = `INSERT INTO lease (part, id, crawl, counts, body)
		SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::bool[], $5::bytea[])
		ON CONFLICT (part, id) DO UPDATE SET counts = excluded.counts, body = excluded.body`
	dropLeases = `DELETE FROM lease AS l USING unnest($1::int[], $2::bigint[]) AS t(part, id)
		WHERE l.part = t.part AND l.id = t.id`
	putOutbox = `INSERT INTO outbox (part, seq, crawl, links, body)
		SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[], $4::int[], $5::bytea[])
		ON CONFLICT (part, seq) DO UPDATE SET crawl = excluded.crawl, links = excluded.links, body = excluded.body`
	dropOutbox = `DELETE FROM outbox AS o USING unnest($1::int[], $2::bigint[]) AS t(part, seq)
		WHERE o.part = t.part AND o.seq = t.seq`
)

// queue adds the statements of the kinds that have rows. Deletions come before
// insertions, so that a queue's pages are reused; they never have a key in common.
func (w *writer) queue(b *pgx.Batch) {
	host := func(sql string, r *hostRows, columns ...any) {
		if len(r.part) > 0 {
			b.Queue(sql, columns...)
		}
	}
	number := func(sql string, r *numberRows, columns ...any) {
		if len(r.part) > 0 {
			b.Queue(sql, columns...)
		}
	}
	host(putURLs, &w.urls, w.urls.part, w.urls.crawl, w.urls.host, w.urls.key, w.urls.body)
	host(dropQueue, &w.unqueued, w.unqueued.part, w.unqueued.crawl, w.unqueued.host, w.unqueued.priority, w.unqueued.num)
	host(putQueue, &w.queued, w.queued.part, w.queued.crawl, w.queued.host, w.queued.priority, w.queued.num, w.queued.body)
	host(dropDue, &w.undelayed, w.undelayed.part, w.undelayed.num, w.undelayed.crawl, w.undelayed.host, w.undelayed.key)
	host(putDue, &w.delayed, w.delayed.part, w.delayed.num, w.delayed.crawl, w.delayed.host, w.delayed.key)
	host(putReady, &w.ready, w.ready.part, w.ready.crawl, w.ready.host, w.ready.work, w.ready.body)
	host(putHosts, &w.hosts, w.hosts.part, w.hosts.host, w.hosts.body)
	host(dropRobots, &w.unrobots, w.unrobots.part, w.unrobots.host)
	host(putRobots, &w.robots, w.robots.part, w.robots.host, w.robots.body)
	host(putJars, &w.jars, w.jars.part, w.jars.crawl, w.jars.host, w.jars.body)
	number(dropLeases, &w.unleased, w.unleased.part, w.unleased.num)
	number(putLeases, &w.leases, w.leases.part, w.leases.num, w.leases.crawl, w.leases.counts, w.leases.body)
	number(dropOutbox, &w.unboxed, w.unboxed.part, w.unboxed.num)
	number(putOutbox, &w.outbox, w.outbox.part, w.outbox.num, w.outbox.crawl, w.outbox.links, w.outbox.body)
	// Crawls before their counters, as Grant does.
	number(putCrawls, &w.crawls, w.crawls.crawl, w.crawls.text, w.crawls.part, w.crawls.body)
	number(putStats, &w.stats, w.stats.crawl, w.stats.part, w.stats.body)
}
