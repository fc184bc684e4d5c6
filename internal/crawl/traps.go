package crawl

import (
	"iter"
	"strings"
)

// maxGroup is the longest group of path segments whose repetition is seen.
// Relative links that miss a slash repeat the few segments of a page's own path.
const maxGroup = 8

// Segments returns the segments of a URL's path: what stands between the slashes,
// the empty ones of // included, but nothing after a last slash.
func Segments(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		rest := strings.TrimPrefix(path, "/")
		for rest != "" {
			segment, after, _ := strings.Cut(rest, "/")
			if !yield(segment) {
				return
			}
			rest = after
		}
	}
}

// trapped says whether a path is one that only a trap or a mistake makes.
func (s *Scope) trapped(path string) Reason {
	if s.pathSegments <= 0 && s.pathRepeats <= 0 {
		return ReasonNone
	}
	// The number of slashes is found faster than the segments, and most paths need
	// no more.
	n := strings.Count(path, "/")
	if strings.HasSuffix(path, "/") {
		n--
	}
	if s.pathSegments > 0 && n > s.pathSegments {
		return ReasonPathDepth
	}
	if s.pathRepeats > 0 && n > s.pathRepeats+1 && repeats(path, s.pathRepeats) {
		return ReasonPathRepetition
	}
	return ReasonNone
}

// repeats reports whether a segment of the path, or a group of up to maxGroup
// segments, follows itself more than most times in a row.
func repeats(path string, most int) bool {
	var (
		last [maxGroup]string  // the last segments, as a ring
		run  [maxGroup + 1]int // by group length: segments that equal the one a group earlier
		n    int
	)
	for segment := range Segments(path) {
		for size := 1; size <= min(n, maxGroup); size++ {
			if last[(n-size)%maxGroup] != segment {
				run[size] = 0
				continue
			}
			// A group of size segments has followed itself once for every size of them.
			if run[size]++; run[size]/size > most {
				return true
			}
		}
		last[n%maxGroup] = segment
		n++
	}
	return false
}
