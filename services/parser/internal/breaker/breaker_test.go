package breaker

import (
	"testing"
	"time"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) after(d time.Duration) time.Time { c.now = c.now.Add(d); return c.now }

func newBreaker() (*Breaker, *clock) {
	return New(Config{Failures: 3, First: time.Second, Longest: 5 * time.Second, Probe: 10 * time.Second}), &clock{time.Unix(1_700_000_000, 0)}
}

func TestOpensAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	b, c := newBreaker()
	b.Failure(c.now)
	b.Failure(c.now)
	b.Success() // begins the row anew
	for n := range 3 {
		if !b.Allow(c.now) {
			t.Fatalf("closed after %d failures", n)
		}
		if opened := b.Failure(c.now); opened != (n == 2) {
			t.Errorf("failure %d: opened %v", n+1, opened)
		}
	}
	if b.State(c.now) != Open || b.Allow(c.after(time.Second-1)) {
		t.Error("calls go on after three failures in a row")
	}
}

func TestOneCallTries(t *testing.T) {
	t.Parallel()
	b, c := newBreaker()
	for range 3 {
		b.Failure(c.now)
	}
	c.after(time.Second)
	if b.State(c.now) != HalfOpen || !b.Allow(c.now) {
		t.Fatal("nobody may try after the pause")
	}
	if b.Allow(c.now) || b.State(c.now) != Open {
		t.Error("two calls try at a time")
	}
	if b.Failure(c.now) {
		t.Error("a try that failed counts as an opening")
	}
	if b.Allow(c.after(2*time.Second - 1)) {
		t.Error("the pause did not double")
	}
	if !b.Allow(c.after(1)) {
		t.Fatal("nobody may try after the second pause")
	}
	b.Success()
	for range 10 {
		if !b.Allow(c.now) {
			t.Fatal("closed after a success")
		}
	}
}

func TestPauseIsBounded(t *testing.T) {
	t.Parallel()
	b, c := newBreaker()
	for range 3 {
		b.Failure(c.now)
	}
	for n := range 20 {
		if !b.Allow(c.after(5 * time.Second)) {
			t.Fatalf("try %d: the pause is longer than its bound", n)
		}
		b.Failure(c.now)
	}
}

// TestALostTryGivesItsTurn: whoever had the turn and never came back.
func TestALostTryGivesItsTurn(t *testing.T) {
	t.Parallel()
	b, c := newBreaker()
	for range 3 {
		b.Failure(c.now)
	}
	if !b.Allow(c.after(time.Second)) {
		t.Fatal("nobody may try")
	}
	if b.Allow(c.after(10*time.Second - 1)) {
		t.Error("a second call tries before the first one's time is up")
	}
	if !b.Allow(c.after(1)) {
		t.Error("a try that never ended holds the breaker open for ever")
	}
	b.Cancel()
	if !b.Allow(c.now) {
		t.Error("a cancelled try keeps its turn")
	}
}

// TestLateFailures: calls that were under way when it opened do not lengthen the pause.
func TestLateFailures(t *testing.T) {
	t.Parallel()
	b, c := newBreaker()
	for range 50 {
		b.Failure(c.now)
	}
	if !b.Allow(c.after(time.Second)) {
		t.Error("failures of calls from before lengthened the pause")
	}
}
