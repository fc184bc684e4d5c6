package frontier

import (
	"slices"

	"github.com/weircrawl/weir/internal/robots"
)

// queue is one host's part of one crawl.
//
// The items lie in the store, leased ones included, in the order of QKey. Memory
// holds a window of them: all unleased items up to tail. When more is false, tail
// is at infinity, so the window holds all unleased items.
type queue struct {
	idx   int32
	h     *host
	c     *crawlState
	s     *share
	at    int    // place among the queues of its crawl
	rows  uint64 // items in the store, leased ones included
	pages uint64 // with a 2xx status
	seen  uint64 // distinct URLs ever
	shape *shapes

	leased   []*lease // valid leases, in no order
	reserved int      // void leases whose result may still become a page

	window []Item
	head   int // the window begins here
	more   bool
	any    bool // tail is set; without it the window ends before the first item
	tail   QKey
	wanted bool     // a Want is to be asked for, or asked
	log    *loadLog // what happened since the Want was asked, nil before

	jar    *siteJar // nil until it is needed
	render rendering
	lined  bool // waits for a browser, and inLine says that the line has it
	inLine bool

	group    *robots.Group // rules for the crawl's agent, nil until needed
	groupVer uint32

	turn      float64 // virtual time among the host's queues
	dirty     bool
	filed     bool // the store has it among the queues with work
	idleSince tick
	idle      bool
}

// loadLog is what changed beyond the window while the store reads it, so that an
// answer that was read earlier can be brought up to date.
type loadLog struct {
	added   []Item
	removed []QKey
	void    bool // the window was cut: the answer does not join it any more
}

// pending is the number of items that may be leased.
func (q *queue) pending() uint64 { return q.rows - uint64(len(q.leased)) }

// items are those of the window.
func (q *queue) items() []Item { return q.window[q.head:] }

// beyond reports whether a place lies behind the window.
func (q *queue) beyond(k QKey) bool { return q.more && (!q.any || k.Compare(q.tail) > 0) }

// findLease returns the valid lease of a URL.
func (q *queue) findLease(k Key) *lease {
	for _, l := range q.leased {
		if l.item.Key == k {
			return l
		}
	}
	return nil
}

// dropLease takes a lease off the list of valid ones.
func (q *queue) dropLease(l *lease) {
	if i := slices.Index(q.leased, l); i >= 0 {
		last := len(q.leased) - 1
		q.leased[i], q.leased[last] = q.leased[last], nil
		q.leased = q.leased[:last]
	}
}

// find returns the position in the window at which a place is or would be.
func (q *queue) find(k QKey) (int, bool) {
	return slices.BinarySearchFunc(q.items(), k, func(it Item, k QKey) int { return it.QKey.Compare(k) })
}

// insert takes note of an unleased item that the store holds or will hold with
// the next batch.
func (f *Frontier) insert(q *queue, it Item) {
	q.lined = false // it may need no browser
	if !q.more && f.inWindows >= f.cfg.MaxItems && q.log == nil {
		f.endWindow(q, it.QKey)
	}
	if q.beyond(it.QKey) {
		if q.log != nil {
			q.log.added = append(q.log.added, it)
		}
		return
	}
	i, found := q.find(it.QKey)
	if found {
		return
	}
	if i == 0 && q.head > 0 { // depth-first crawls push where they pop
		q.head--
		q.window[q.head] = it
	} else {
		q.compact()
		q.window = slices.Insert(q.window, q.head+i, it)
	}
	f.inWindows++
	if len(q.items()) > 2*f.cfg.WindowSize && q.log == nil {
		f.cut(q, q.items()[f.cfg.WindowSize].QKey)
	}
}

// compact moves the window to the start of its array rather than let it grow.
func (q *queue) compact() {
	if q.head == 0 || len(q.window) < cap(q.window) {
		return
	}
	n := copy(q.window, q.items())
	clear(q.window[n:])
	q.window, q.head = q.window[:n], 0
}

// endWindow lets the window end before k or after its last item, without taking
// anything out, because memory is full.
func (f *Frontier) endWindow(q *queue, k QKey) {
	items := q.items()
	if len(items) == 0 {
		q.more, q.any = true, false
		return
	}
	if last := items[len(items)-1].QKey; k.Compare(last) > 0 {
		q.more, q.any, q.tail = true, true, last
	}
}

// cut takes the items from k on out of memory; the store has them.
func (f *Frontier) cut(q *queue, k QKey) {
	i, _ := q.find(k)
	items := q.items()
	f.inWindows -= len(items) - i
	clear(items[i:])
	q.window = q.window[:q.head+i]
	q.more = true
	if q.any = i > 0; q.any {
		q.tail = q.items()[i-1].QKey
	}
	if q.log != nil {
		q.log.void = true
	}
}

// pop takes an item of the window, nearly always the first.
func (f *Frontier) pop(q *queue, i int) Item {
	it := q.window[q.head+i]
	f.inWindows--
	if i > 0 {
		q.window = slices.Delete(q.window, q.head+i, q.head+i+1)
		return it
	}
	q.window[q.head] = Item{}
	q.head++
	if q.head == len(q.window) {
		q.window, q.head = q.window[:0], 0
		if !q.more {
			q.any = false
		}
	}
	return it
}

// forget takes an item out of the window that is about to leave the store.
func (f *Frontier) forget(q *queue, k QKey) {
	if q.log != nil {
		q.log.removed = append(q.log.removed, k)
	}
	if i, found := q.find(k); found {
		q.window = slices.Delete(q.window, q.head+i, q.head+i+1)
		f.inWindows--
	}
}

// settleWindow makes an empty queue's window complete again, so that new items go
// straight into it.
func (q *queue) settleWindow() {
	if q.pending() == 0 && q.log == nil {
		q.more, q.any = false, false
	}
}

// want asks for more of a queue, once.
func (f *Frontier) want(q *queue) {
	if !q.wanted {
		q.wanted = true
		f.wants = append(f.wants, q)
	}
}

// fill joins an answer to the window.
func (f *Frontier) fill(q *queue, a Filling) {
	log := q.log
	q.log, q.wanted = nil, false
	if log == nil || log.void {
		return
	}
	read := a.Items
	if len(read) > 0 {
		q.any, q.tail = true, read[len(read)-1].QKey
	}
	q.more = a.More
	for _, it := range read {
		if !slices.Contains(log.removed, it.QKey) && !q.leasedAt(it.QKey) {
			f.insertRead(q, it)
		}
	}
	for _, it := range log.added {
		if !q.beyond(it.QKey) && !slices.Contains(log.removed, it.QKey) && !q.leasedAt(it.QKey) {
			f.insertRead(q, it)
		}
	}
	if len(q.items()) > 2*f.cfg.WindowSize {
		f.cut(q, q.items()[f.cfg.WindowSize].QKey)
	}
	q.settleWindow()
	q.lined = false // something may have come that needs no browser
}

// insertRead puts an item that was asked for into the window.
func (f *Frontier) insertRead(q *queue, it Item) {
	if i, found := q.find(it.QKey); !found {
		q.window = slices.Insert(q.window, q.head+i, it)
		f.inWindows++
	}
}

// leasedAt reports whether the item at a place is leased.
func (q *queue) leasedAt(k QKey) bool {
	return slices.ContainsFunc(q.leased, func(l *lease) bool { return l.item.QKey == k })
}
