package bus

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/crew"
	"github.com/weircrawl/weir/internal/run"
)

// session takes messages from consumers, keeps them alive and gives them to
// workers in units: single messages or batches.
//
//	server ─pull─► waiting ─unit─► worker ─ack─► server
//	               └── in hand: heart-beats every AckWait/3 ──┘
//
// One goroutine, run's, owns all state; workers, of a crew, only handle and settle.
type session struct {
	b   *Bus
	nc  *nats.Conn
	log *slog.Logger

	// Set before run.
	set        *ConsumerSet
	workers    int
	limit      func() int      // of workers that may run now; nil: all
	raised     <-chan struct{} // there is more of it; nil: not told
	softStop   time.Duration
	target     int                                // messages in hand at most, save what a batch of sources overshoots
	bytesLimit int                                // of messages in hand, 0 for none
	unit       func(now time.Time, all int) int   // how many of the waiting make a unit now
	wake       func() time.Time                   // when unit may say more without a message coming
	handle     func(context.Context, []*delivery) // handles and settles

	crew  *crew.Crew        // of workers, and those who handle what is in a bundle beside them
	begin func([]*delivery) // gives a unit to a worker

	// Owned by run.
	sources  []*source
	bySub    map[*nats.Subscription]*source
	flushed  chan *source  // those that left and of which nothing more comes
	over     chan struct{} // closed at the end of run
	flushing sync.WaitGroup
	share    int            // of target, for each source
	gauges   map[string]int // messages in hand by label
	ch       chan *nats.Msg
	inHand   []*delivery
	waiting  []*delivery
	bytes    int
	units    int       // messages in hand, each of a bundle's counted
	running  int       // workers
	begun    time.Time // when the last of them was given something
	stopping bool
	every    time.Duration // between heart-beats
	tick     *time.Ticker

	// hold counts workers that wait for a part of ours to come back: while there
	// is one, nothing new is pulled.
	hold atomic.Int32
	// declared gets a token when the topology is there.
	declared chan struct{}
	// stop ends when the caller's context does: workers give up waiting.
	stop context.Context //nolint:containedctx // lives as long as run
	// seen is when the loop last looked at what is due, in Unix nanoseconds.
	seen atomic.Int64
	held heldCount
}

// channelRoom is for the channel between NATS and a session: the loop never blocks,
// so a burst of one read is what it must hold; nats.go drops what does not fit.
const channelRoom = 1024

// usualMembers is how many consumers a set may grow to without its statuses filling
// the channel.
const usualMembers = 256

// defaultSoftStop is how long handlers may go on after a stop.
const defaultSoftStop = 10 * time.Second

// slowestBeat bounds the time between heart-beats, also of a set that is empty.
const slowestBeat = 10 * time.Second

// run pulls and hands out until ctx ends, then drains.
func (s *session) run(ctx context.Context, set *ConsumerSet) error {
	members, ok := set.use()
	if !ok {
		return crawl.Errorf(crawl.Internal, "a set of consumers is used twice")
	}
	defer set.release()
	if s.softStop <= 0 {
		s.softStop = defaultSoftStop
	}
	s.set, s.stop, s.every = set, ctx, slowestBeat
	// At most every source's share twice, since a lost pull is repeated, and that for
	// the shares before and after a change of the set; and statuses.
	s.ch = make(chan *nats.Msg, 4*s.target+16*max(usualMembers, members)+channelRoom)
	s.bySub, s.gauges = make(map[*nats.Subscription]*source), make(map[string]int)
	s.flushed, s.over, s.declared = make(chan *source), make(chan struct{}), make(chan struct{}, 1)
	s.tick = time.NewTicker(s.period())
	defer s.tick.Stop()
	s.seen.Store(time.Now().UnixNano())
	defer s.b.sessions.enter(s)()
	defer s.end()
	if err := s.follow(); err != nil {
		return err
	}
	status := s.nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(status)

	// Detached: handlers in hand outlive ctx for a while.
	hctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(run.ErrStopping)
	s.crew = crew.New(s.workers)
	defer s.crew.Close()
	done := make(chan []*delivery, s.workers)
	s.begin = func(u []*delivery) { s.crew.Go(func() { s.handle(hctx, u); done <- u }) }
	err := s.loop(ctx, status, done)
	s.drain(done, cancel)
	return err
}

// end lets all sources go.
func (s *session) end() {
	close(s.over)
	s.flushing.Wait()
	for _, src := range s.sources {
		_ = src.sub.Unsubscribe()
		close(src.member.gone)
	}
}

// period is how often the loop looks at what is due: often enough that a heart-beat is
// never later than half of AckWait.
func (s *session) period() time.Duration {
	return max(10*time.Millisecond, min(s.every/2, 250*time.Millisecond))
}

// loop is the session's life until ctx ends or the connection is closed for good.
func (s *session) loop(ctx context.Context, status <-chan nats.Status, done <-chan []*delivery) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		now := time.Now()
		s.hand(now)
		again := s.demand(now)
		var raised <-chan struct{}
		switch {
		case len(s.waiting) == 0:
		case s.running < s.mayRun():
			if at := s.wake(); again.IsZero() || at.Before(again) {
				again = at
			}
		default:
			raised = s.raised // it would be of use
		}
		if !again.IsZero() {
			wake.Reset(time.Until(again))
		}
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.ch:
			s.receive(m)
			s.receiveMore(channelRoom)
		case u := <-done:
			s.finished(u)
		case <-wake.C:
		case <-raised:
		case <-s.tick.C:
			s.receiveMore(len(s.ch)) // after a pause of the process the server only seems to be silent
			s.beat()
		case <-s.set.wake:
			if err := s.follow(); err != nil {
				return err
			}
		case <-s.declared:
			for _, src := range s.sources {
				src.retryAt = time.Time{}
			}
		case src := <-s.flushed:
			s.left(src)
		case st := <-status:
			s.forget()
			if st == nats.CLOSED {
				return crawl.Errorf(crawl.Unavailable, "the connection to NATS was closed")
			}
		}
	}
}

// receive takes a message or a status off the channel.
func (s *session) receive(m *nats.Msg) {
	src := s.bySub[m.Sub]
	if src == nil {
		s.stray(m)
		return
	}
	now := time.Now()
	if len(m.Data) == 0 && m.Header.Get("Status") != "" {
		s.status(src, m, now)
		return
	}
	src.heard = now
	src.outstanding = max(0, src.outstanding-1)
	s.succeeded(src)
	number, seq, ok := ackTokens(m.Reply)
	if !ok {
		s.log.Warn("not a message of a stream", "subject", m.Subject)
		return
	}
	if number > 1 && s.holds(src, seq, m.Reply) {
		return
	}
	if src.leaving {
		s.stray(m)
		return
	}
	d := &delivery{
		Delivery: Delivery{Subject: m.Subject, Data: m.Data, Number: number, Failures: failuresOf(m.Header)},
		src:      src, sequence: seq, replyTo: m.Reply, arrived: now, beat: now, index: len(s.inHand),
	}
	if place := m.Header[headerTrace]; len(place) > 0 {
		d.Trace, d.Stored = place[0], storedAt(m.Reply)
	}
	if len(m.Header[headerBundle]) > 0 {
		// What is none goes to its handler, which refuses it.
		d.parts, _ = partsOf(m.Data)
		d.leases = m.Header.Get(headerLease)
	}
	s.inHand = append(s.inHand, d)
	s.units += d.units()
	s.waiting = append(s.waiting, d)
	s.bytes += len(d.Data)
	src.held++
}

// holds reports whether a message is in hand already, and settles it by its new
// delivery then. After a server that was away for longer than AckWait comes back, it
// may deliver anew before the heart-beats reach it; a second fetch of the same page
// would run beside the first.
func (s *session) holds(src *source, seq uint64, replyTo string) bool {
	for _, d := range s.inHand {
		if d.src.consumer == src.consumer && d.sequence == seq && d.renew(replyTo) {
			return true
		}
	}
	return false
}

// receiveMore takes at most so many messages of what else one read of the connection brought, so that the
// loop's other work is done once for all of it.
func (s *session) receiveMore(most int) {
	for range most {
		select {
		case m := <-s.ch:
			s.receive(m)
		default:
			return
		}
	}
}

// hand gives units to workers.
func (s *session) hand(now time.Time) {
	for may := s.mayRun(); s.running < may && len(s.waiting) > 0; {
		n := s.unit(now, len(s.waiting))
		if n == 0 {
			return
		}
		u := make([]*delivery, n)
		copy(u, s.waiting)
		clear(s.waiting[:n])
		s.waiting = s.waiting[n:]
		s.running++
		s.begun = now
		s.begin(u)
	}
}

// mayRun is how many workers may run now.
func (s *session) mayRun() int {
	if s.limit == nil {
		return s.workers
	}
	return min(max(s.limit(), 1), s.workers)
}

// finished takes a unit out of hand.
func (s *session) finished(u []*delivery) {
	s.running--
	for _, d := range u {
		s.drop(d)
	}
	s.part()
}

// drop takes a message out of hand, moving the last one into its place.
func (s *session) drop(d *delivery) {
	last := len(s.inHand) - 1
	s.inHand[d.index] = s.inHand[last]
	s.inHand[d.index].index = d.index
	s.inHand[last] = nil
	s.inHand = s.inHand[:last]
	s.bytes -= len(d.Data)
	s.units -= d.units()
	d.src.held--
}

// beat keeps alive what is in hand.
func (s *session) beat() {
	now := time.Now()
	s.seen.Store(now.UnixNano())
	if !s.nc.IsConnected() {
		return // heart-beats would only push acks out of the connection's buffer
	}
	for label := range s.gauges {
		s.gauges[label] = 0
	}
	for _, d := range s.inHand {
		d.progress(s.nc, now, s.every)
		s.gauges[d.src.consumer.label] += d.units()
	}
	s.held.set(s.gauges)
	s.checkSilence(now)
	for label, n := range s.gauges {
		s.b.m.inHand.WithLabelValues(label).Set(float64(n))
		s.b.m.room.WithLabelValues(label).Set(float64(s.target - (s.workers - s.mayRun())))
	}
}
