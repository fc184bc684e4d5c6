package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/ownership"
)

const (
	// leaveTime bounds how long a replica that stops gives its partitions away.
	leaveTime = 10 * time.Second
	// closeTime bounds how long it frees keys at the end of a session.
	closeTime = 2 * time.Second
	// keyCalls is how many keys are renewed or freed at a time.
	keyCalls = 16

	partitionKey = "p."
	memberKey    = "member."
)

// claim is the value of a key: who holds it. The run makes it different for every
// session, so that nobody takes another's key for its own.
type claim struct {
	Replica string `json:"replica"`
	Address string `json:"address"`
	Run     uint32 `json:"run"`
}

// tenure is what a replica knows and does about who owns which partitions: it drives
// package ownership with the keys of the bus.
type tenure struct {
	s      *session
	leases *bus.Leases
	self   claim
	value  []byte
	fresh  atomic.Pointer[time.Time]
	wake   chan struct{} // capacity 1: look again
	tasks  sync.WaitGroup

	mu      sync.Mutex
	view    *ownership.View
	members map[string]string // addresses of the others
	owners  map[uint32]claim
	left    chan struct{} // closed when all was given away; nil before and after
	leaving bool

	keys   []key // by partition
	member key
}

// key is a key of the bus that this replica holds or held.
type key struct {
	mu       sync.Mutex // one call at a time
	name     string
	revision uint64 // 0 when it is not held
	// sent is when the first write was sent whose answer is not known; zero without
	// one.
	sent time.Time
}

func newTenure(s *session, start *frontier.Start) (*tenure, error) {
	t := &tenure{
		s: s, leases: s.deps.Bus.Leases(),
		self:    claim{Replica: s.cfg.Replica, Address: s.cfg.Advertise, Run: start.Run},
		wake:    make(chan struct{}, 1),
		members: map[string]string{}, owners: map[uint32]claim{},
		keys:   make([]key, start.Partitions),
		member: key{name: memberKey + s.cfg.Replica},
	}
	for p := range t.keys {
		t.keys[p].name = partitionKey + strconv.Itoa(p)
	}
	var err error
	if t.value, err = json.Marshal(t.self); err != nil {
		return nil, err
	}
	cfg := ownership.DefaultConfig(t.self.Replica, start.Partitions, t.leases.TTL())
	if t.view, err = ownership.New(cfg, time.Now()); err != nil {
		return nil, err
	}
	t.fresh.Store(&time.Time{})
	s.loop.fresh = func() time.Time { return *t.fresh.Load() }
	return t, nil
}

// run claims, renews and gives partitions until ctx ends and what is in hand is done.
func (t *tenure) run(ctx context.Context) error {
	defer t.tasks.Wait()
	t.tasks.Go(func() {
		if err := t.leases.Watch(ctx, t.see, func() { signal(t.wake) }); err != nil {
			t.s.fail(err)
		}
	})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-timer.C:
		}
		todo, wake := t.next()
		t.do(ctx, todo)
		timer.Reset(max(time.Millisecond, time.Until(wake)))
	}
}

// next asks what is to be done.
func (t *tenure) next() ([]ownership.Action, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	todo, wake := t.view.Next(time.Now())
	t.refresh()
	if t.left != nil && t.view.Empty() {
		close(t.left)
		t.left = nil
	}
	return todo, wake
}

// refresh tells the loop how long it may go on. The caller holds mu.
func (t *tenure) refresh() {
	until := t.view.FreshUntil()
	t.fresh.Store(&until)
	t.s.m.owned.Set(float64(len(t.view.Held())))
}

// do starts actions: renewals together, the others one by one.
func (t *tenure) do(ctx context.Context, todo []ownership.Action) {
	var renew []uint32
	for _, a := range todo {
		switch a.Kind {
		case ownership.Renew:
			renew = append(renew, a.Partition)
		case ownership.RenewMember:
			t.tasks.Go(func() { t.renewMember(ctx) })
		case ownership.Take:
			t.tasks.Go(func() { t.take(ctx, a.Partition) })
		case ownership.Give:
			t.tasks.Go(func() { t.give(ctx, a.Partition) })
		}
	}
	if len(renew) == 0 {
		return
	}
	t.tasks.Go(func() {
		var g errgroup.Group
		g.SetLimit(keyCalls)
		for _, p := range renew {
			g.Go(func() error { t.renew(ctx, p); return nil })
		}
		_ = g.Wait()
	})
}

// tell changes the view and has it looked at.
func (t *tenure) tell(f func(v *ownership.View)) {
	t.mu.Lock()
	f(t.view)
	t.refresh()
	t.mu.Unlock()
	signal(t.wake)
}

// see takes news of a key.
func (t *tenure) see(name string, value []byte, present bool) {
	var c claim
	if present && json.Unmarshal(value, &c) != nil {
		return // not a key of ours
	}
	if replica, ok := strings.CutPrefix(name, memberKey); ok {
		t.tell(func(v *ownership.View) {
			v.SeeMember(replica, present)
			switch {
			case replica == t.self.Replica:
			case present:
				t.members[replica] = c.Address
			default:
				delete(t.members, replica)
			}
		})
		t.s.peers.keep(t.addresses())
		return
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(name, partitionKey), 10, 32)
	if err != nil || n >= uint64(len(t.keys)) {
		return
	}
	t.tell(func(v *ownership.View) {
		v.SeeOwner(uint32(n), c.Replica)
		if present {
			t.owners[uint32(n)] = c
		} else {
			delete(t.owners, uint32(n))
		}
	})
}

// take claims a partition and takes it up.
func (t *tenure) take(ctx context.Context, p uint32) {
	sent, err := t.claim(ctx, &t.keys[p])
	if err != nil {
		if !errors.Is(err, bus.ErrTaken) && ctx.Err() == nil {
			t.s.deps.Log.Debug("claim partition", "partition", p, "err", err)
		}
		t.tell(func(v *ownership.View) { v.NotClaimed(p, time.Now()) })
		return
	}
	t.tell(func(v *ownership.View) { v.Claimed(p, sent); t.owners[p] = t.self })
	if err := t.s.takeUp(ctx, p); err != nil {
		t.s.fail(err)
		return
	}
	t.s.m.moves.WithLabelValues("taken").Inc()
	t.tell(func(v *ownership.View) { v.Taken(p) })
}

// claim claims a key and returns when the write was sent that it is held by.
func (t *tenure) claim(ctx context.Context, k *key) (time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sent.IsZero() {
		k.sent = time.Now()
	}
	rev, err := t.leases.Claim(ctx, k.name, t.value)
	sent := k.sent
	if err == nil || errors.Is(err, bus.ErrTaken) {
		k.sent = time.Time{}
	}
	k.revision = rev
	return sent, err
}

// renew renews the key of a partition.
func (t *tenure) renew(ctx context.Context, p uint32) {
	sent, err := t.renewKey(ctx, &t.keys[p])
	switch {
	case err == nil && !sent.IsZero():
		t.tell(func(v *ownership.View) { v.Renewed(p, sent) })
	case errors.Is(err, bus.ErrLost):
		lost := false
		t.tell(func(v *ownership.View) { lost = v.Lost(p) })
		if lost {
			t.s.fail(errLost)
		}
	case err != nil && ctx.Err() == nil:
		t.s.deps.Log.Warn("renew the lease of a partition", "partition", p, "err", err)
	}
}

// renewKey renews a key; the time is zero when it is not held, or a call is on its
// way already.
func (t *tenure) renewKey(ctx context.Context, k *key) (time.Time, error) {
	if !k.mu.TryLock() {
		return time.Time{}, nil
	}
	defer k.mu.Unlock()
	if k.revision == 0 {
		return time.Time{}, nil
	}
	if k.sent.IsZero() {
		k.sent = time.Now()
	}
	ctx, cancel := context.WithTimeout(ctx, t.leases.TTL()/3)
	defer cancel()
	rev, err := t.leases.Renew(ctx, k.name, t.value, k.revision)
	sent := k.sent
	switch {
	case err == nil:
		k.revision, k.sent = rev, time.Time{}
	case errors.Is(err, bus.ErrLost):
		k.revision, k.sent = 0, time.Time{}
	}
	return sent, err
}

// renewMember says that this replica is alive.
func (t *tenure) renewMember(ctx context.Context) {
	_, err := t.renewKey(ctx, &t.member)
	t.member.mu.Lock()
	absent := t.member.revision == 0
	t.member.mu.Unlock()
	t.mu.Lock()
	absent = absent && !t.leaving
	t.mu.Unlock()
	if absent {
		_, err = t.claim(ctx, &t.member)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, bus.ErrTaken) {
		t.s.deps.Log.Warn("renew the lease of this replica", "err", err)
	}
}

// give lets go of a partition and frees its key.
func (t *tenure) give(ctx context.Context, p uint32) {
	if err := t.s.giveUp(ctx, p); err != nil {
		t.s.fail(err)
		return
	}
	t.free(ctx, &t.keys[p])
	t.s.m.moves.WithLabelValues("given").Inc()
	t.tell(func(v *ownership.View) {
		v.Given(p, time.Now())
		if t.owners[p] == t.self { // otherwise who takes it was seen before
			delete(t.owners, p)
		}
	})
}

// free deletes a key that is held. When that fails, the key runs out.
func (t *tenure) free(ctx context.Context, k *key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revision == 0 {
		return
	}
	if err := t.leases.Release(ctx, k.name, k.revision); err != nil && ctx.Err() == nil {
		t.s.deps.Log.Debug("free a key", "key", k.name, "err", err)
	}
	k.revision = 0
}

// leave gives all partitions away, while everything still runs.
func (t *tenure) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	left := make(chan struct{})
	t.tell(func(v *ownership.View) {
		v.Leave()
		t.left, t.leaving = left, true
	})
	t.free(ctx, &t.member) // first, so that the others know who takes what
	select {
	case <-left:
	case <-ctx.Done():
		t.s.deps.Log.Warn("stopping before all partitions were given away; others take them when their leases run out")
	case <-t.s.over:
	}
}

// close frees the keys that are left when nothing acts on them any more.
func (t *tenure) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(keyCalls)
	for p := range t.keys {
		g.Go(func() error { t.free(ctx, &t.keys[p]); return nil })
	}
	t.free(ctx, &t.member)
	_ = g.Wait()
	t.s.m.owned.Set(0)
}

// addresses returns where the others answer: those that live and those that still
// own something.
func (t *tenure) addresses() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]bool, len(t.members))
	for _, a := range t.members {
		out[a] = true
	}
	for _, c := range t.owners {
		out[c.Address] = true
	}
	return out
}

// address returns where the owner of a partition answers, empty when nobody else is
// known to own it.
func (t *tenure) address(p uint32) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.owners[p]; c.Replica != t.self.Replica {
		return c.Address
	}
	return ""
}

// replicas returns how many are alive, this one included.
func (t *tenure) replicas() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.members) + 1
}
