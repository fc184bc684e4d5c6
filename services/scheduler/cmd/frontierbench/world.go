package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// A page has links mentions of URLs, fresh of which are new to the crawl. foreign of
// them, with the same share of new ones, lead to other hosts.
const (
	links   = 50
	fresh   = 10
	foreign = 10
)

// shape says how URLs are spread over hosts.
type shape struct {
	name, about string
	hosts       int
	// pick chooses the host of a page.
	pick func(w *world) int
}

// shapes that are measured.
func shapes() []shape {
	const middle, many = 10_000, 1_000_000
	return []shape{
		{"zipf", "10,000 hosts, sizes by Zipf's law", middle, func(w *world) int { return int(w.zipf.Uint64()) }},
		{"skewed", "10,000 hosts, one of which has half of all URLs", middle, func(w *world) int {
			if w.rng.IntN(2) == 0 {
				return 0
			}
			return 1 + w.rng.IntN(w.shape.hosts-1)
		}},
		{"wide", "1,000,000 hosts of the same size", many, func(w *world) int { return w.rng.IntN(w.shape.hosts) }},
	}
}

// world makes URLs. It belongs to one goroutine.
type world struct {
	shape shape
	rng   *rand.Rand
	zipf  *rand.Zipf
	size  []int32 // URLs of each host so far
	even  float64 // share of the mentions of known URLs that are drawn evenly
}

// menu is how many pages of a host are what its other pages mostly link to.
const menu = 64

func newWorld(s shape, even float64) *world {
	w := &world{shape: s, even: even, rng: rand.New(rand.NewPCG(1, 2)), size: make([]int32, s.hosts)}
	w.zipf = rand.NewZipf(w.rng, 1.2, 8, uint64(s.hosts-1))
	return w
}

// candidate is URL n of a host, canonical and about 90 bytes long.
func (w *world) candidate(host int, n int32) frontier.Candidate {
	u, err := weburl.FromCanonical(fmt.Sprintf(
		"https://www.host-number-%07d.example/section-%02d/an-article-of-some-length-about-%08d.html", host, n%50, n))
	if err != nil {
		panic(err) // a mistake in the line above
	}
	return frontier.Candidate{URL: u, Depth: 1}
}

// unseen is a new URL of a host.
func (w *world) unseen(host int) frontier.Candidate {
	w.size[host]++
	return w.candidate(host, w.size[host]-1)
}

// seen is a URL of a host that was made before: one of its first, as menus and lists
// are on every page of a site, or any of them, the worst that a cache can meet. A host
// without URLs gets its first.
func (w *world) seen(host int) frontier.Candidate {
	n := w.size[host]
	if n == 0 {
		return w.unseen(host)
	}
	if w.rng.Float64() >= w.even {
		n = min(n, menu)
	}
	return w.candidate(host, w.rng.Int32N(n))
}

// page makes the links of one page.
func (w *world) page(cs []frontier.Candidate) {
	own := w.shape.pick(w)
	for i := range cs {
		host := own
		if i%(links/foreign) == 0 {
			host = w.shape.pick(w)
		}
		if i < fresh {
			cs[i] = w.unseen(host)
		} else {
			cs[i] = w.seen(host)
		}
	}
}

// seeds makes new URLs.
func (w *world) seeds(cs []frontier.Candidate) {
	for i := range cs {
		cs[i] = w.unseen(w.shape.pick(w))
	}
}
