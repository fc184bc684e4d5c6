// Package drift notices that a field of a crawl's items is filled far less often
// than it used to be: the site has changed, and the rule no longer fits.
//
// It keeps two moving averages for a field, a slow one that is its past and a quick
// one that is its present, and knows no time: it counts in items.
package drift

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

const (
	// slow and quick are the weights of a new item in the averages: about the last
	// 2000 and the last 100 items.
	slow  = 1.0 / 2000
	quick = 1.0 / 100
	// enough items have passed for a field to have a past.
	enough = 300
	// A field that was filled less often than rare tells nothing when it is empty. It
	// has fallen below fallen of its past, and is back from back of it on.
	rare   = 0.2
	fallen = 0.5
	back   = 0.8
)

// maxFields bounds the fields that are watched, of all crawls of a process.
const maxFields = 20_000

// Field names a field.
type Field struct {
	// Crawl is the id of its crawl.
	Crawl string
	// Rule and Name of it, the latter as in extract.Counts.
	Rule, Name string
}

// Counts are how often a field had a value, had nothing to make one of, and had
// something that did not fit.
type Counts struct{ Filled, Empty, Invalid uint64 }

// State is what is known of a field.
type State struct {
	// Counts of all items.
	Counts
	// Past and Present are the shares of items in which it was filled, 0 to 1.
	Past, Present float64
	// Fallen says that the present is far below the past.
	Fallen bool
	seen   int
}

// Watch watches fields. The zero value is ready; it is safe for concurrent use.
type Watch struct {
	mu     sync.Mutex
	fields map[Field]*State
	fallen int
}

// Add counts items of a page. It returns the state of the field, and whether Fallen has
// changed.
func (w *Watch) Add(f Field, n Counts) (s State, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.fields[f]
	if st == nil {
		if w.fields == nil || len(w.fields) >= maxFields {
			// A past is soon there again; that of crawls long over is not missed.
			w.fields, w.fallen = map[Field]*State{}, 0
		}
		st = &State{}
		w.fields[f] = st
	}
	st.Filled, st.Empty, st.Invalid = st.Filled+n.Filled, st.Empty+n.Empty, st.Invalid+n.Invalid
	st.add(1, n.Filled)
	st.add(0, n.Empty+n.Invalid)
	before := st.Fallen
	switch {
	case st.seen < enough:
	case st.Fallen:
		st.Fallen = st.Present < back*st.Past
	default:
		st.Fallen = st.Past >= rare && st.Present < fallen*st.Past
	}
	if st.Fallen != before {
		if st.Fallen {
			w.fallen++
		} else {
			w.fallen--
		}
	}
	return *st, st.Fallen != before
}

// List returns the fields of a crawl by rule and name, and their states.
func (w *Watch) List(crawl string) ([]Field, []State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fields []Field
	for f := range w.fields {
		if f.Crawl == crawl {
			fields = append(fields, f)
		}
	}
	slices.SortFunc(fields, func(a, b Field) int { return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Name, b.Name)) })
	states := make([]State, len(fields))
	for i, f := range fields {
		states[i] = *w.fields[f]
	}
	return fields, states
}

// Fallen returns how many fields are far below their past.
func (w *Watch) Fallen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fallen
}

// add counts n items that are alike, one of a page with thousands as little as one
// of a page with ten.
func (s *State) add(v float64, n uint64) {
	for range min(n, 20) {
		s.seen++
		// The first items are averaged plainly, so that neither average begins at 0.
		past := max(slow, 1/float64(s.seen))
		present := max(quick, 1/float64(s.seen))
		if s.Fallen {
			past = 0 // what is wrong does not become the past
		}
		s.Past += (v - s.Past) * past
		s.Present += (v - s.Present) * present
	}
}
