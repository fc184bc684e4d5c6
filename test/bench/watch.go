package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/test/driver"
)

// What is read of a process.
const (
	metricMallocs    = "go_memstats_mallocs_total"
	metricAllocated  = "go_memstats_alloc_bytes_total"
	metricResults    = "weir_scheduler_results_total"
	metricTurnaround = "weir_scheduler_visit_seconds"
)

// lookEvery is how often a ring in one process is looked at; one look costs it about a
// millisecond.
const lookEvery = time.Second / 2

// watcher looks at a ring in one process while it runs, for it is gone at its end.
type watcher struct {
	proc  *driver.Proc
	admin string
	done  sync.WaitGroup

	first, last driver.Scrape
	held        []Held
	err         error
}

// watch looks until the process has ended.
func watch(ctx context.Context, p *driver.Proc, admin string) *watcher {
	w := &watcher{proc: p, admin: admin}
	w.done.Go(func() { w.run(ctx) })
	return w
}

func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(ctx)
		case <-w.proc.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) look(ctx context.Context) {
	s, err := driver.ReadMetrics(ctx, w.admin)
	if err != nil {
		return // it is starting or ending
	}
	done, err := s.Sum(metricResults, `"done"`)
	if err != nil {
		w.err = err
		return
	}
	if w.first == nil && done > 0 {
		w.first = s
	}
	w.last = s
	if rss, err := w.proc.RSS(); err == nil { // else it has just ended
		w.held = append(w.held, Held{Pages: int(done), MiB: rss >> 20})
	}
}

// end waits until the process has ended and notes what was seen of it.
func (w *watcher) end(r *Run) error {
	w.done.Wait()
	if w.err != nil || w.first == nil {
		return w.err // too short a run for a look
	}
	pages, err := difference(w.last, w.first, metricResults, `"done"`)
	if err != nil {
		return err
	}
	if pages > 0 {
		mallocs, err1 := difference(w.last, w.first, metricMallocs, "")
		bytes, err2 := difference(w.last, w.first, metricAllocated, "")
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		r.Mallocs, r.AllocBytes = mallocs/pages, bytes/pages
	}
	r.Held = w.held
	r.P50, r.P99, err = turnaround(w.last, nil)
	return err
}

func difference(now, before driver.Scrape, metric, with string) (float64, error) {
	a, err := now.Sum(metric, with)
	if err != nil {
		return 0, err
	}
	b, err := before.Sum(metric, with)
	return a - b, err
}

// turnaround is how long URLs took through the ring, the median and the 99th percentile.
func turnaround(now, before driver.Scrape) (p50, p99 float64, err error) {
	if p50, err = now.Quantile(0.5, metricTurnaround, before); err != nil {
		return 0, 0, err
	}
	p99, err = now.Quantile(0.99, metricTurnaround, before)
	return p50, p99, err
}

// readItems counts the items of a file by the URL of their page.
func readItems(file string) (map[string]int, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	defer f.Close()
	out := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var item struct {
			URL string `json:"_url"`
		}
		if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		out[item.URL]++
	}
	return out, lines.Err()
}

// archiveFile is how the names of WARC files end.
const archiveFile = ".warc.gz"

// folderSize is the length of all files in a folder whose names end so, in bytes; what
// goes away meanwhile does not count.
func folderSize(dir, suffix string) float64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(d.Name(), suffix) {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return float64(sum)
}
