package bench

import (
	"fmt"
	"time"
)

// Workload is a site, how it is to be crawled, and who crawls it in turns.
type Workload struct {
	// Name in flags and results; Title in the report.
	Name  string `json:"name"`
	Title string `json:"title"`
	// Hosts of the site, Pages of each host, PageBytes and Links of each page.
	Hosts     int `json:"hosts"`
	Pages     int `json:"pages"`
	PageBytes int `json:"page_bytes"`
	Links     int `json:"links"`
	// Latency of every answer; with LatencyMax each page has one of its own between the
	// two.
	Latency    time.Duration `json:"latency"`
	LatencyMax time.Duration `json:"latency_max"`
	// Delay between two visits of a host. With a delay a host has one visit at a time,
	// else as many as PerHost.
	Delay   time.Duration `json:"delay"`
	PerHost int           `json:"per_host"`
	// BothCores gives what is measured all processors, the site's too; else it has all
	// but the first, which is the site's.
	BothCores bool `json:"both_cores"`
	// Rounds at most; Config.Rounds may say fewer.
	Rounds int `json:"rounds"`
	// Subjects take turns in each round.
	Subjects []Subject `json:"subjects"`
}

// Kind is a kind of crawler.
type Kind string

// The crawlers that are compared.
const (
	// Bare is a Go loop with net/http and goquery that keeps everything in memory.
	Bare Kind = "bare"
	// Logged is the same with a log of the bodies, compressed with S2 and synced to the
	// disk every 20 ms.
	Logged Kind = "logged"
	// Colly is github.com/gocolly/colly with the same extraction.
	Colly Kind = "colly"
	// Embedded is Weir in one process.
	Embedded Kind = "embedded"
	// Split is Weir as processes with a NATS server.
	Split Kind = "split"
	// Postgres is Split with frontier and catalogue in PostgreSQL.
	Postgres Kind = "postgres"
)

// Subject is a crawler and its size.
type Subject struct {
	// Kind of the crawler.
	Kind Kind `json:"kind"`
	// Width is the number of workers of a loop, of fetchers and parsers of Embedded, of
	// processes of each of the two services of Split and Postgres. 0: the usual.
	Width int `json:"width,omitempty"`
	// Schedulers of Postgres. 0: one.
	Schedulers int `json:"schedulers,omitempty"`
}

// Name of the subject in tables; unique within a workload.
func (s Subject) Name() string {
	name := map[Kind]string{
		Bare: "bare loop", Logged: "bare loop + S2 log", Colly: "Colly", Embedded: "Weir embedded",
		Split: "Weir split", Postgres: "Weir split, PostgreSQL",
	}[s.Kind]
	if s.Width > 0 {
		unit := "workers"
		if s.Kind == Split || s.Kind == Postgres {
			unit = "fetchers and parsers"
		}
		name += fmt.Sprintf(", %d %s", s.Width, unit)
	}
	if s.Schedulers > 0 {
		name += fmt.Sprintf(", %d schedulers", s.Schedulers)
	}
	return name
}

// total pages of the site.
func (w Workload) total() int { return w.Hosts * w.Pages }

// workers of a loop that are as many as Weir may have visits at a time.
func (w Workload) workers(s Subject) int {
	switch {
	case s.Width > 0:
		return s.Width
	case w.Delay > 0:
		return w.Hosts
	default:
		return w.Hosts * w.PerHost
	}
}

// all are the six of the main table.
func all() []Subject {
	return []Subject{{Kind: Bare}, {Kind: Logged}, {Kind: Colly}, {Kind: Embedded}, {Kind: Split}, {Kind: Postgres}}
}

// The workloads of the full benchmark, in the order of their worth: when the time runs
// out the last ones have the fewest rounds.
func workloads() []Workload {
	page := Workload{Hosts: 4, Pages: 2500, PageBytes: 16 << 10, Links: 40, PerHost: 16}
	with := func(name, title string, change func(*Workload)) Workload {
		w := page
		w.Name, w.Title, w.Rounds = name, title, 5
		change(&w)
		return w
	}
	// A table for each number of workers, with pages for ten seconds: the first pages of a
	// crawl, with few links known, would weigh the more the faster it is.
	workers := func(n, pages int) Workload {
		return with(fmt.Sprintf("workers%d", n), fmt.Sprintf("%d at a time: 4 hosts that answer after 50 ms", n), func(w *Workload) {
			w.Latency, w.Pages, w.Rounds = 50*time.Millisecond, pages/w.Hosts, 3
			w.Subjects = []Subject{{Kind: Bare, Width: n}, {Kind: Embedded, Width: n}}
		})
	}
	return []Workload{
		with("hosts4", "4 hosts, crawler on one core", func(w *Workload) { w.Subjects = all() }),
		with("hosts4-both", "4 hosts, crawler on both cores", func(w *Workload) {
			w.BothCores, w.Subjects = true, all()
		}),
		with("host1", "One host, crawler on one core", func(w *Workload) {
			w.Hosts, w.Pages = 1, 5000
			w.Subjects = []Subject{{Kind: Bare}, {Kind: Logged}, {Kind: Colly}, {Kind: Embedded}}
		}),
		with("latency", "4 hosts that answer after 50 ms, crawler on one core", func(w *Workload) {
			w.Latency = 50 * time.Millisecond
			w.Subjects = []Subject{{Kind: Bare}, {Kind: Colly}, {Kind: Embedded}}
		}),
		workers(1, 200),
		workers(4, 800),
		workers(16, 3200),
		workers(64, 10_000),
		with("polite", "32 hosts that answer after 200 to 500 ms, with a delay of 100 ms a host", func(w *Workload) {
			w.Hosts, w.Pages, w.Rounds = 32, 40, 3
			w.Latency, w.LatencyMax, w.Delay = 200*time.Millisecond, 500*time.Millisecond, 100*time.Millisecond
			w.Subjects = []Subject{{Kind: Colly}, {Kind: Embedded}, {Kind: Split}}
		}),
		with("steady", "100,000 pages: the steady state", func(w *Workload) {
			w.Pages, w.Rounds = 25_000, 1
			w.Subjects = []Subject{{Kind: Bare}, {Kind: Colly}, {Kind: Embedded}}
		}),
		with("scale", "Fetchers, parsers and schedulers as processes, on both cores", func(w *Workload) {
			w.BothCores, w.Rounds = true, 2
			for _, n := range []int{1, 2, 4} {
				w.Subjects = append(w.Subjects, Subject{Kind: Split, Width: n})
			}
			for _, n := range []int{1, 2, 4} {
				w.Subjects = append(w.Subjects, Subject{Kind: Postgres, Width: 1, Schedulers: n})
			}
		}),
	}
}
