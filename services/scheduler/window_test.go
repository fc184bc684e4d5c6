package scheduler

import "testing"

func TestDispatchWindow(t *testing.T) {
	t.Parallel()
	// fleet is fetchers that each take so many seconds a page.
	type fleet struct {
		fetchers int
		seconds  float64
	}
	tests := []struct {
		name        string
		fleet       fleet
		least, most int // window in the end
		within      int // seconds until no fetcher idles
	}{
		{"few and fast", fleet{8, 0.1}, 64, 700, 4},
		{"many and fast", fleet{512, 0.1}, 4096, 4096, 8},
		{"many and slow", fleet{1000, 10}, 1000, 2000, 8},
		{"one and slow", fleet{1, 5}, 64, 70, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := dispatchWindow{size: firstWindow, least: leastWindow, most: 4096}
			busySince := -1
			carry := 0.0
			for second := range 120 {
				// The frontier always has work: the window is full.
				working := min(w.size, tt.fleet.fetchers)
				done := float64(working)/tt.fleet.seconds + carry
				// Within a second fetchers take what waits, and the loop refills.
				carry = done - float64(int(done))
				w.next(w.size-working, w.size, int(done))
				switch {
				case working < tt.fleet.fetchers:
					busySince = -1
				case busySince < 0:
					busySince = second
				}
			}
			if busySince < 0 || busySince > tt.within {
				t.Errorf("all fetchers are busy since second %d, want %d", busySince, tt.within)
			}
			if w.size < tt.least || w.size > tt.most {
				t.Errorf("the window is %d, want %d to %d", w.size, tt.least, tt.most)
			}
		})
	}
}

func TestDispatchWindowStaysWithoutWork(t *testing.T) {
	t.Parallel()
	w := dispatchWindow{size: firstWindow, least: leastWindow, most: 4096}
	for range 60 {
		w.next(0, 3, 3) // polite hosts: the window does not bind
	}
	if w.size != firstWindow {
		t.Errorf("the window grew to %d without need", w.size)
	}
}
