package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// tick is a time inside a Frontier: nanoseconds since it was made. Differences of
// what the caller passes are taken by the monotonic clock, so that a step of the
// wall clock neither hurries nor holds up a host.
type tick int64

const (
	// never is a time that does not come.
	never = tick(1<<63 - 1)
	// longAgo is before anything; far enough from the ends to take differences.
	longAgo = tick(-1 << 60)
)

// Frontier decides. It belongs to one goroutine.
type Frontier struct {
	cfg   Config
	start time.Time
	now   tick

	parts []*partition // of the store; nil where somebody else owns it

	crawls map[CrawlNo]*crawlState
	byID   map[string]CrawlNo
	order  []*crawlState // by number
	active []*crawlState // those that hand out work
	vtime  float64       // of the crawl that was served last

	hosts     map[HostID]*host
	queues    []*queue // by idx; nil where free
	pos       []int32  // place in its crawl's heap, by idx
	free      []int32
	idle      []idleMark
	parking   parking
	left      ended
	gates     gates
	inWindows int // items in all windows
	wants     []*queue
	origins   map[string]home
	missing   map[HostRef]bool // what was asked for; false: only if there is work
	keys      keyMemo

	leases     map[LeaseID]*lease
	deadlines  []deadline
	nextLease  LeaseID
	unreported [Pools]int
	ended      [Pools]int64 // exchanges that are over, of leases of this run
	voids      int          // leases without a URL
	line       []*queue     // that wait for a browser
	lacked     bool         // there was no room for a visit in a browser; see Lacked
	jars       map[jarKey]*siteJar

	seq, seqLimit uint64
	dueAt         time.Time // of the first delayed URL, zero for none
	dueAdded      time.Time // of the first one delayed since the last Wake

	out, spare *Batch
	urlIdx     map[Ref]int32  // URLs in out
	outRows    map[outKey]int // rows of out that take more links
	sent       []sentMark     // links sent to other owners lately
	dirtyQ     []*queue
	dirtyH     []*host
	dirtyS     []*share
	dirtyC     []*crawlState
	dirtyJ     []*siteJar
	changes    []CrawlNo
	quiet      []CrawlNo // shared crawls that may be over
}

// home is where an origin's URLs are kept.
type home struct {
	host      HostID
	partition uint32
}

// maxOrigins bounds the cache of origins; it is emptied when full.
const maxOrigins = 8192

// New makes a frontier that owns nothing yet; see Store.Begin and Own.
func New(cfg Config, s *Start, now time.Time) *Frontier {
	f := &Frontier{
		cfg: cfg, start: now, parts: make([]*partition, max(s.Partitions, 1)),
		crawls: make(map[CrawlNo]*crawlState), byID: make(map[string]CrawlNo),
		hosts: make(map[HostID]*host), origins: make(map[string]home),
		missing: make(map[HostRef]bool), keys: newKeyMemo(), leases: make(map[LeaseID]*lease),
		nextLease: LeaseID(s.Run) << 40,
		left:      ended{at: make(map[HostID]tick)}, jars: make(map[jarKey]*siteJar),
		out: &Batch{}, spare: &Batch{}, urlIdx: make(map[Ref]int32), outRows: make(map[outKey]int),
	}
	for _, c := range s.Crawls {
		f.addCrawl(c)
	}
	f.activate()
	return f
}

// restoreHosts takes the hosts with work from a snapshot: those with leases, and of the
// others as many as memory has room for, each with all its queues.
func (f *Frontier) restoreHosts(s *Snapshot) {
	rows := make(map[HostID]*HostRow, len(s.Hosts))
	for i := range s.Hosts {
		rows[s.Hosts[i].Host] = &s.Hosts[i]
	}
	keep := make(map[HostID]struct{})
	for i := range s.Leases {
		keep[s.Leases[i].Host] = struct{}{}
	}
	room := len(keep) + f.cfg.MaxHosts - len(f.hosts)
	for _, r := range s.Ready {
		if _, ok := keep[r.Host]; !ok && len(keep) >= room {
			if c := f.crawls[r.Crawl]; c != nil {
				f.noteParked(c, r.Rows)
			}
			continue
		}
		keep[r.Host] = struct{}{}
		st := HostState{Ready: r, Host: HostRow{Partition: r.Partition, Host: r.Host}}
		if row := rows[r.Host]; row != nil {
			st.Host = *row
		}
		f.admit(st)
	}
}

// Sub returns the time from o to t, without overflow for never.
func (t tick) Sub(o tick) time.Duration { return time.Duration(t - o) }

// at enters a method: it takes the caller's time, which never goes back.
func (f *Frontier) at(now time.Time) tick {
	f.now = max(f.now, tick(now.Sub(f.start)))
	return f.now
}

// tickOf turns a stored wall-clock time into a tick; zero is long ago.
func (f *Frontier) tickOf(t time.Time) tick {
	if t.IsZero() {
		return longAgo
	}
	return max(tick(t.Sub(f.start)), longAgo)
}

// wall turns a tick into a time as it is stored.
func (f *Frontier) wall(t tick) time.Time {
	if t <= longAgo {
		return time.Time{}
	}
	return f.start.Add(time.Duration(t)).Round(0).Truncate(time.Millisecond)
}

// Ref returns where a URL is kept. It is cheap for hosts in use.
func (f *Frontier) Ref(no CrawlNo, u weburl.URL) Ref {
	p := f.homeOf(u)
	return Ref{Crawl: no, Partition: p.partition, Host: p.host, Key: f.keys.key(u)}
}

// Missing appends to dst the hosts of refs that are not in memory, each once.
// Hosts of partitions that are not owned are left out. Read them with Store.Hosts and hand them to Admit before Add, Complete or Wake
// is called for these refs, without a Flush between.
func (f *Frontier) Missing(dst []HostRef, refs []Ref) []HostRef {
	if len(dst) == 0 {
		clear(f.missing)
	}
	var last *queue
	for i := range refs {
		r := &refs[i]
		if !f.Owns(r.Partition) {
			continue
		}
		if last != nil && last.h.id == r.Host && last.c.No == r.Crawl {
			continue
		}
		if q := f.queueOf(r.Host, r.Crawl); q != nil {
			last = q
			continue
		}
		if f.crawls[r.Crawl] == nil {
			continue
		}
		hr := HostRef{Partition: r.Partition, Crawl: r.Crawl, Host: r.Host}
		if _, dup := f.missing[hr]; !dup {
			dst = append(dst, hr)
			if n := len(dst); f.hosts[r.Host] == nil {
				dst = f.siblings(dst, hr)
				for _, s := range dst[n:] {
					if !f.missing[s] {
						f.missing[s] = false // asked for, maybe not wanted
					}
				}
			}
		}
		f.missing[hr] = true
	}
	return dst
}

// Admit takes hosts that Missing asked for.
func (f *Frontier) Admit(now time.Time, hosts []HostState) {
	f.at(now)
	for i := range hosts {
		r := &hosts[i].Ready
		if wanted, asked := f.missing[r.HostRef]; r.Rows > 0 || wanted || !asked {
			f.admit(hosts[i])
		}
	}
}

// Wants returns what the frontier needs from its store to go on; call it after
// Apply of the last Flush (with unflushed changes it returns nil). Each Want is
// returned once and must be answered by Fill.
func (f *Frontier) Wants() []Want {
	if len(f.wants) == 0 || len(f.out.Queue) > 0 || len(f.out.Robots) > 0 || len(f.out.Jars) > 0 {
		return nil
	}
	ws := make([]Want, 0, len(f.wants))
	for _, q := range f.wants {
		w := Want{HostRef: q.ref(), After: q.tail, FromStart: !q.any}
		if q.wanted && q.log == nil {
			w.N = f.cfg.WindowSize
			q.log = &loadLog{}
		}
		if h := q.h; h.robots.loading == loadWanted {
			h.robots.loading = loadAsked
			w.Robots = true
		}
		if j := q.jar; j != nil && j.loading == loadWanted {
			j.loading = loadAsked
			w.Jar, w.Site = true, j.site
		}
		if w.N > 0 || w.Robots || w.Jar { // a queue may be listed for several
			ws = append(ws, w)
		}
	}
	f.wants = f.wants[:0]
	return ws
}

// Fill answers a Want.
func (f *Frontier) Fill(now time.Time, w Want, a Filling) {
	f.at(now)
	q := f.queueOf(w.Host, w.Crawl)
	if q == nil {
		return
	}
	if w.Robots {
		f.fillRobots(q.h, a.Robots)
	}
	if w.Jar {
		f.fillJar(q, &a.Jar)
	}
	if w.N > 0 {
		f.fill(q, a)
	}
	f.placeAll(q.h)
}

// DueAt returns when Store.Due should be asked, zero for never.
func (f *Frontier) DueAt() time.Time { return f.dueAt }

// WakeAt returns when Next, Wants, DueAt, Expired or a limit may have something
// new without another event; zero for never.
func (f *Frontier) WakeAt(now time.Time) time.Time {
	t := f.at(now)
	first := never
	if len(f.wants) > 0 {
		first = t // a queue that waits for its store is in no heap
	}
	first = min(first, f.parksAt())
	room := f.room(PoolHTTP) > 0
	if len(f.line) > 0 && f.room(PoolBrowser) > 0 {
		first = t
	}
	for _, c := range f.active {
		if c.Limits.Duration > 0 && c.Reason == "" && !f.cfg.Shared {
			first = min(first, f.tickOf(c.CreatedAt.Add(c.Limits.Duration)))
		}
		if e, ok := c.ready.top(); ok && room && f.dispatchable(c) {
			first = min(first, e.at)
		}
	}
	f.trimDeadlines()
	if len(f.deadlines) > 0 {
		first = min(first, f.deadlines[0].at)
	}
	if !f.dueAt.IsZero() {
		first = min(first, f.tickOf(f.dueAt))
	}
	if first == never {
		return time.Time{}
	}
	return f.start.Add(time.Duration(max(first, t)))
}

// Quiet returns the shared crawls that may be over since the last call, as far as
// the partitions owned go; see Settle.
func (f *Frontier) Quiet() []CrawlNo {
	q := f.quiet
	f.quiet = nil
	return q
}

// Changes returns the crawls whose state changed by itself since the last call.
func (f *Frontier) Changes() []CrawlNo {
	c := f.changes
	f.changes = nil
	return c
}
