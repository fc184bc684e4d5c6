package history

import (
	"fmt"
	"math"
	"time"
)

// Health is how a stage does.
type Health uint8

// The states, the worse the later.
const (
	// Unknown: nothing was seen of it yet.
	Unknown Health = iota
	// Idle: nothing waits, nothing is in hand, nothing came lately.
	Idle
	// Working: it keeps up.
	Working
	// Behind: what waits would take it longer than a while, and does not get less.
	Behind
	// Full: its queue takes no more, so that the stage before it stands still.
	Full
	// Missing: work waits, and no replica asks for it.
	Missing
)

// String returns the word that people see.
func (h Health) String() string {
	return [...]string{"unknown", "idle", "keeps up", "behind", "full", "no replica"}[h]
}

const (
	// behindAfter is how long what waits may take: the queues hold seconds of work.
	behindAfter = 15 * time.Second
	// behindFrom is how many messages must wait: few are late for other reasons than load.
	behindFrom = 50
	// fullFrom is how full a queue is when the next message may be refused.
	fullFrom = 0.9
	// missingAfter is how long nobody may ask for waiting work: a replica that starts
	// again is away for a moment.
	missingAfter = 5 * time.Second
)

// Health judges a stage by the view's last samples, and says why in a sentence.
func (v View) Health(name string) (Health, string) {
	last := v.Last()
	s, ok := last.Stage(name)
	if !ok {
		return Unknown, "Nothing is known of it yet."
	}
	if v.unattended(name) {
		return Missing, fmt.Sprintf("%d messages wait, and no replica asks for them.", s.Pending)
	}
	if q, ok := last.Queue(s.Queue); ok && q.Full() >= fullFrom && s.Pending > 0 {
		return Full, fmt.Sprintf("%s is %.0f %% full: the stage before it is held up.", q.Name, 100*q.Full())
	}
	rate := v.RateNow(OfStage(name, func(s Stage) uint64 { return s.Delivered }))
	if s.Lag() == 0 {
		if rate > 0 {
			return Working, "Nothing waits."
		}
		return Idle, "Nothing comes in."
	}
	if s.Pending >= behindFrom && !v.falling(name) {
		if rate == 0 {
			return Behind, fmt.Sprintf("%d messages wait, and nothing is taken.", s.Pending)
		}
		if need := time.Duration(float64(s.Pending) / rate * float64(time.Second)); need > behindAfter {
			return Behind, fmt.Sprintf("%d messages wait: %s of work at its rate.", s.Pending, need.Round(time.Second))
		}
	}
	return Working, fmt.Sprintf("%d wait, %d in hand.", s.Pending, s.Working)
}

// unattended reports that work has waited for missingAfter without anybody who asks.
func (v View) unattended(name string) bool {
	var since time.Time
	for i := len(v.Samples) - 1; i >= 0; i-- {
		s, ok := v.Samples[i].Stage(name)
		if !ok || s.Pending == 0 || s.Pulls > 0 || s.Working > 0 {
			break
		}
		since = v.Samples[i].At
	}
	return !since.IsZero() && v.Last().At.Sub(since) >= missingAfter
}

// falling reports that clearly less waits than half a minute ago.
func (v View) falling(name string) bool {
	last := v.Last()
	now, _ := last.Stage(name)
	then := math.NaN()
	for _, s := range v.Samples {
		if st, ok := s.Stage(name); ok && last.At.Sub(s.At) <= maxGap {
			then = float64(st.Pending)
			break
		}
	}
	return float64(now.Pending) < 0.8*then
}
