package bus

import (
	"context"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/run"
)

// drain ends a session: pull no more, give back at once what was not started,
// let the handlers in hand finish for softStop with heart-beats, then cancel
// them.
func (s *session) drain(done <-chan []*delivery, cancel context.CancelCauseFunc) {
	s.stopping = true
	s.closeInboxes()
	s.giveBack(everything)
	hard := time.NewTimer(s.softStop)
	defer hard.Stop()
	tick := time.NewTicker(max(10*time.Millisecond, s.every/2))
	defer tick.Stop()
	for s.running > 0 {
		select {
		case u := <-done:
			s.finished(u)
		case m := <-s.ch:
			s.receive(m)
			s.giveBack(everything)
		case <-tick.C:
			s.beat()
		case <-hard.C:
			cancel(run.ErrStopping)
		}
	}
	s.collect()
	s.beat() // for the gauge
}

// closeInboxes makes the server forget the open pulls. What it sent before it
// knew has arrived when the flush returns.
func (s *session) closeInboxes() {
	for _, src := range s.sources {
		_ = src.sub.Drain()
	}
	if s.nc.IsConnected() {
		_ = s.nc.FlushTimeout(2 * time.Second)
	}
	s.collect()
}

// collect takes in, and gives back, what has arrived.
func (s *session) collect() {
	for {
		select {
		case m := <-s.ch:
			s.receive(m)
		default:
			s.giveBack(everything)
			return
		}
	}
}

// giveBack naks those that wait and are chosen.
func (s *session) giveBack(chosen func(*delivery) bool) {
	s.waiting = slices.DeleteFunc(s.waiting, func(d *delivery) bool {
		if !chosen(d) {
			return false
		}
		s.settle(context.Background(), d, release, nil)
		s.drop(d)
		return true
	})
}

func everything(*delivery) bool { return true }
