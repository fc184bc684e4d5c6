// Package speed tells a body that comes too slowly. It looks at what came over a
// sliding window, so that a pause is no fault and a drip is one.
package speed

// Ticks is how often a window is looked at before it is over.
const Ticks = 10

// Window is a sliding window over the bytes of one body. The zero value is empty.
type Window struct {
	marks [Ticks]int64 // totals at the last ticks, in a ring
	n     int
}

// Tick takes the total of bytes so far, a tenth of the window after the last one, and
// returns what came over a whole window; ok is false as long as none is over.
func (w *Window) Tick(total int64) (came int64, ok bool) {
	at := &w.marks[w.n%Ticks]
	came = total - *at
	*at = total
	w.n++
	return came, w.n >= Ticks
}

// Restart forgets what was: nobody was reading. total is that of the bytes so far.
func (w *Window) Restart(total int64) {
	for i := range w.marks {
		w.marks[i] = total
	}
	w.n = 0
}
