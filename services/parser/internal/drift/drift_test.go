package drift

import (
	"fmt"
	"sync"
	"testing"
)

// run adds n pages of one item, every k-th with the field (0: none), and returns the
// last state and how often the alarm changed.
func run(w *Watch, f Field, n, k int) (s State, changes int) {
	for i := range n {
		filled := 0
		if k > 0 && i%k == 0 {
			filled = 1
		}
		var changed bool
		if s, changed = w.Add(f, Counts{Filled: uint64(filled), Empty: uint64(1 - filled)}); changed {
			changes++
		}
	}
	return s, changes
}

func TestWatch(t *testing.T) {
	t.Parallel()
	type phase struct {
		pages, every int
		fallen       bool
		changes      int
	}
	for _, c := range []struct {
		name   string
		phases []phase
	}{
		{"always there", []phase{{3000, 1, false, 0}}},
		{"gone after a while, and back", []phase{{1000, 1, false, 0}, {500, 0, true, 1}, {5000, 0, true, 0}, {500, 1, false, 1}}},
		{"half as often", []phase{{1000, 1, false, 0}, {1000, 3, true, 1}}},
		{"a little less often", []phase{{1000, 1, false, 0}, {2000, 2, false, 0}}},
		{"rare all along", []phase{{1000, 10, false, 0}, {1000, 0, false, 0}}},
		{"too few to tell", []phase{{100, 1, false, 0}, {150, 0, false, 0}}},
		{"never there", []phase{{2000, 0, false, 0}}},
		{"a few pages without", []phase{{1000, 1, false, 0}, {30, 0, false, 0}, {300, 1, false, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var w Watch
			for i, p := range c.phases {
				s, changes := run(&w, Field{"c", "r", "f"}, p.pages, p.every)
				if s.Fallen != p.fallen || changes != p.changes {
					t.Errorf("phase %d: %+v, %d changes", i, s, changes)
				}
				if want := map[bool]int{true: 1}[p.fallen]; w.Fallen() != want {
					t.Errorf("phase %d: %d fields fallen", i, w.Fallen())
				}
			}
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var w Watch
	w.Add(Field{"c", "r", "b"}, Counts{Filled: 1, Empty: 2, Invalid: 3})
	w.Add(Field{"c", "r", "b"}, Counts{Filled: 1})
	w.Add(Field{"c", "r", "a"}, Counts{Empty: 1})
	w.Add(Field{"d", "r", "a"}, Counts{Filled: 1})
	fields, states := w.List("c")
	if len(fields) != 2 || fields[0].Name != "a" || fields[1].Name != "b" {
		t.Fatalf("fields %v", fields)
	}
	if got := states[1].Counts; got != (Counts{2, 2, 3}) {
		t.Errorf("counts %+v", got)
	}
	if fields, _ := w.List("x"); len(fields) != 0 {
		t.Errorf("another crawl has %v", fields)
	}
}

// TestWatchIsBounded: fields beyond the bound are watched, others forgotten.
func TestWatchIsBounded(t *testing.T) {
	t.Parallel()
	var w Watch
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range maxFields / 2 {
				w.Add(Field{"c", fmt.Sprint(g), fmt.Sprint(i)}, Counts{Filled: 1})
			}
		})
	}
	wg.Wait()
	if n := len(w.fields); n == 0 || n > maxFields {
		t.Errorf("%d fields", n)
	}
}
