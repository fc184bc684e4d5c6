package frontier

import (
	"math/bits"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// Pool is a kind of fetchers. Each has a window of its own, so that one that is slow
// or absent does not hold up the other.
type Pool uint8

// Pools of fetchers.
const (
	// PoolHTTP fetches.
	PoolHTTP Pool = iota
	// PoolBrowser shows pages in a browser.
	PoolBrowser
	// Pools is their number.
	Pools
)

// room is the number of leases for a pool that may be made now.
func (f *Frontier) room(p Pool) int {
	return min(f.cfg.MaxLeases-len(f.leases), f.cfg.MaxUnreported[p]-f.unreported[p])
}

// SetWindow changes Config.MaxUnreported of a pool.
func (f *Frontier) SetWindow(p Pool, n int) { f.cfg.MaxUnreported[p] = n }

// Unreported is the number of a pool's leases whose exchange is not over.
func (f *Frontier) Unreported(p Pool) int { return f.unreported[p] }

// Ended counts the exchanges of a pool that are over, those given back included.
func (f *Frontier) Ended(p Pool) int64 { return f.ended[p] }

// Lacked reports whether some visit could have been handed out to the pool of browsers
// since it was last asked, had there been room.
func (f *Frontier) Lacked() bool {
	lacked := f.lacked
	f.lacked = false
	for _, q := range f.line {
		if lacked {
			break
		}
		lacked = f.queues[q.idx] == q && q.lined && f.dispatchable(q.c)
	}
	return lacked
}

// choose returns which item of a queue's window is next, and for which pool: the
// first, unless that is for the browsers and those have no room; then the first of
// the others. False when there is none.
func (f *Frontier) choose(q *queue) (int, Pool, bool) {
	if q.c.Render == RenderNever {
		return 0, PoolHTTP, true
	}
	items := q.items()
	room := f.room(PoolBrowser) > 0
	for i := range items {
		p := poolOf(q, &items[i])
		if p == PoolHTTP || room {
			return i, p, true
		}
		f.lacked = true
	}
	return 0, PoolBrowser, false
}

// poolOf returns the pool that an item is for.
func poolOf(q *queue, it *Item) Pool {
	switch {
	case it.Mode == ModeMedia, it.Mode == ModePlain, !browsable(it.URL):
		return PoolHTTP
	case it.Mode == ModeBrowser, q.c.Render == RenderAlways, q.c.Render == RenderAuto && q.render.browser():
		return PoolBrowser
	}
	return PoolHTTP
}

// browsable reports whether a URL may be a page for a browser: it has no request of
// its own, and does not end as feeds, sitemaps and data do.
func browsable(u weburl.URL) bool {
	if _, more := u.Request(); more {
		return false
	}
	path := u.Path()
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 || len(path)-dot > len(".json") {
		return true
	}
	switch strings.ToLower(path[dot+1:]) {
	case "xml", "gz", "rss", "atom", "json", "txt", "csv", "pdf", "zip":
		return false
	}
	return true
}

// lineUp has a queue wait for room in the pool of browsers, while the store is asked
// for what may need none: what does and found no room is at most half of a window before
// the others (see renderAgain), and the rest behind them.
func (f *Frontier) lineUp(q *queue) {
	if q.more && len(q.items()) <= f.cfg.WindowSize {
		f.want(q)
	}
	q.lined = true
	f.place(q)
	if q.inLine {
		return
	}
	q.inLine = true
	f.line = append(f.line, q)
	if len(f.line) > 2*len(f.queues)+64 { // of queues that left memory
		kept := f.line[:0]
		for _, o := range f.line {
			if f.queues[o.idx] == o {
				kept = append(kept, o)
			}
		}
		clear(f.line[len(kept):])
		f.line = kept
	}
}

// callLine lets as many queues go on as there is room for; who cannot use it at its
// turn lines up again.
func (f *Frontier) callLine() {
	for n := f.room(PoolBrowser); n > 0 && len(f.line) > 0; {
		q := f.line[0]
		f.line[0] = nil
		f.line = f.line[1:]
		q.inLine = false
		if f.queues[q.idx] != q || !q.lined {
			continue
		}
		q.lined = false
		f.place(q)
		n--
	}
}

const (
	// lastPages is how many visits without a browser a host is judged by, and
	// mostPages how many of them must have needed one.
	lastPages, mostPages = 5, 4
	// probeEvery is how many pages of a host that needs a browser go there for one that
	// is visited without, so that it can unlearn.
	probeEvery = 20
)

// rendering is what the pages of a host taught about the need for a browser.
type rendering struct {
	last uint8 // a bit for each of the last visits: it needed one
	n    uint8 // visits known
	turn uint8 // pages that went to a browser since the last that did not
}

// learnt reports whether the host's pages mostly need a browser.
func (r *rendering) learnt() bool { return r.n == lastPages && bits.OnesCount8(r.last) >= mostPages }

// browser reports whether the next page goes to a browser at once.
func (r *rendering) browser() bool { return r.learnt() && r.turn < probeEvery-1 }

// took counts a page that was handed out.
func (r *rendering) took(p Pool) {
	switch {
	case !r.learnt():
	case p == PoolBrowser:
		r.turn++
	default:
		r.turn = 0
	}
}

// see takes a visit without a browser.
func (r *rendering) see(needed bool) {
	r.last <<= 1
	if needed {
		r.last |= 1
	}
	r.last &= 1<<lastPages - 1
	r.n = min(r.n+1, lastPages)
	if !r.learnt() {
		r.turn = 0
	}
}

// pack returns it as it is stored, 0 for nothing known.
func (r *rendering) pack() uint16 { return uint16(r.last) | uint16(r.n)<<5 | uint16(r.turn)<<8 }

// unpack reads what pack returned.
func (r *rendering) unpack(v uint16) {
	r.last, r.n, r.turn = uint8(v)&(1<<lastPages-1), min(uint8(v)>>5, lastPages), min(uint8(v>>8), probeEvery-1)
}

// tookTurn counts a page that was handed out, for what its host learns.
func (f *Frontier) tookTurn(q *queue, it *Item, p Pool) {
	if q.c.Render == RenderAuto && it.Mode == ModePage {
		q.render.took(p)
	}
}

// toBrowser reports whether a visit is to be made again in a browser, after its host
// has learnt from it.
func (v *visit) toBrowser() bool {
	if v.q.c.Render != RenderAuto || v.item.Mode != ModePage || v.Rendered || v.Exchange.Class != crawl.ClassNone {
		return false
	}
	if v.Exchange.Status/100 == 2 {
		v.q.render.see(v.WantsRender)
	}
	return v.WantsRender && browsable(v.item.URL)
}

// renderAgain puts a visited page before the others of its host, for a browser. It
// burns no attempt. Where many wait there already, it goes behind all others: those that
// need no browser have their turn.
func (f *Frontier) renderAgain(v *visit) {
	f.countAttempt(v.q.s, v.Exchange)
	it := v.item
	it.Mode = ModeBrowser
	it.Generation++
	waiting := 0
	for _, o := range v.q.items() {
		if o.Mode == ModeBrowser {
			waiting++
		}
	}
	if waiting >= f.cfg.WindowSize/2 && it.Priority < demotion {
		it.Priority += demotion
	}
	v.q.s.stats.Queued++
	f.queueAgain(v.q, v.ref, it)
}
