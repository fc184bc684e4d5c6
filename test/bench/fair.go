package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/measure"
	"github.com/weircrawl/weir/test/driver"
)

// Fair is a small crawl, alone and beside a big one, in turns on one server.
type Fair struct {
	// Machine, Commit and Command say where, what and how.
	Machine measure.Machine `json:"machine"`
	Commit  string          `json:"commit"`
	Command string          `json:"command"`
	// At is when the measurement ended, Load how busy the machine was before it.
	At   time.Time `json:"at"`
	Load string    `json:"load"`
	// Many are the URLs of the big crawl, on one host; Few those of the small one, on
	// so many Hosts. Each host takes Latency to answer.
	Many    int           `json:"many"`
	Few     int           `json:"few"`
	Hosts   int           `json:"hosts"`
	Latency time.Duration `json:"latency"`
	// Alone and Beside are the seconds of the small crawl by its own clock.
	Alone  []float64 `json:"alone_seconds"`
	Beside []float64 `json:"beside_seconds"`
	// Between are the pages of the big crawl that were fetched during each of Beside.
	Between []int `json:"big_pages_beside"`
}

// Measure fills in what a Fair of so many rounds measures.
func (f *Fair) Measure(ctx context.Context, b driver.Binaries, rounds int) (err error) {
	dir, err := driver.TempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	site, err := driver.StartSite(ctx, b, dir, "-hosts", fmt.Sprint(f.Hosts+1), "-pages", fmt.Sprint(f.Many),
		"-links", "2", "-latency", f.Latency.String())
	if err != nil {
		return err
	}
	defer site.Close()
	server, err := driver.StartServer(ctx, b, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	big, err := f.big(ctx, server, site)
	if err != nil {
		return err
	}
	for range rounds {
		alone, err := f.small(ctx, server, site)
		if err != nil {
			return err
		}
		if _, err := server.Weir(ctx, "resume", big); err != nil {
			return err
		}
		before, err := server.Status(ctx, big)
		if err != nil {
			return err
		}
		beside, err := f.small(ctx, server, site)
		if err != nil {
			return err
		}
		after, err := server.Status(ctx, big)
		if err != nil {
			return err
		}
		if after.Ledger.Queued == 0 {
			return errors.New("the big crawl was over before the small one")
		}
		if _, err := server.Weir(ctx, "pause", big); err != nil {
			return err
		}
		f.Alone, f.Beside = append(f.Alone, alone), append(f.Beside, beside)
		f.Between = append(f.Between, int(after.Pages-before.Pages))
	}
	return nil
}

const fairPoliteness = "politeness: {delay: 100ms, concurrency_per_host: 1}\nparse: {follow_links: false}\n"

// big makes the big crawl, with all its URLs, and pauses it.
func (f *Fair) big(ctx context.Context, s *driver.Server, site *driver.Site) (string, error) {
	root := site.Info.Seeds[0]
	id, err := s.Open(ctx, driver.Job{Spec: "name: big\nseeds: {urls: [" + root + "]}\n" + fairPoliteness})
	if err != nil {
		return "", err
	}
	if _, err := s.Weir(ctx, "pause", id); err != nil {
		return "", err
	}
	var urls strings.Builder
	for i := 1; i < f.Many; i++ {
		fmt.Fprintf(&urls, "%sp/%d\n", root, i)
	}
	add, err := s.Begin(strings.NewReader(urls.String()), "add", id, "-")
	if err != nil {
		return "", err
	}
	code, err := add.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("weir add: exit code %d\n%s", code, add.Tail())
	}
	return id, err
}

// small runs the small crawl and returns its duration.
func (f *Fair) small(ctx context.Context, s *driver.Server, site *driver.Site) (float64, error) {
	var urls []string
	for _, root := range site.Info.Seeds[1:] {
		urls = append(urls, root)
		for i := 1; i < f.Few/f.Hosts; i++ {
			urls = append(urls, fmt.Sprintf("%sp/%d", root, i))
		}
	}
	id, err := s.Submit(ctx, driver.Job{Spec: "name: small\nseeds: {urls: [" + strings.Join(urls, ", ") + "]}\n" + fairPoliteness})
	if err != nil {
		return 0, err
	}
	if _, err := s.Weir(ctx, "wait", id); err != nil {
		return 0, err
	}
	sum, err := s.Status(ctx, id)
	if err == nil && sum.Pages != uint64(len(urls)) {
		err = fmt.Errorf("the small crawl has %d pages of %d", sum.Pages, len(urls))
	}
	return sum.DurationSeconds, err
}

// Markdown renders the measurement.
func (f *Fair) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# A small crawl beside a big one, %s, %s\n\n", f.Commit, f.At.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(&b, "`%s` on %s, %d cores, %d GiB, Linux %s, %s; load %s.\n\n", f.Command, f.Machine.CPU, f.Machine.Cores,
		f.Machine.MemoryGiB, f.Machine.Kernel, f.Machine.Go, f.Load)
	fmt.Fprintf(&b, "All in one process (`weir up`). The big crawl has %d URLs on one host, the small one %d on %d others; every host answers after "+
		"%v, with a delay of 100 ms and one fetch at a time. Seconds of the small crawl by its own clock, the big one paused (alone) and "+
		"running (beside) in turns, n = %d rounds: the median, with the least and the greatest.\n\n", f.Many, f.Few, f.Hosts, f.Latency, len(f.Alone))
	var ratios, pages []float64
	for i := range f.Alone {
		ratios = append(ratios, f.Beside[i]/f.Alone[i])
		pages = append(pages, float64(f.Between[i]))
	}
	fmt.Fprintf(&b, "| alone s | beside s | ratio | pages of the big crawl meanwhile |\n|---|---|---|---|\n| %s | %s | %s | %s |\n",
		measure.Spread(f.Alone, 2), measure.Spread(f.Beside, 2), measure.Spread(ratios, 3), measure.Spread(pages, 0))
	return b.String()
}

// Write writes the measurement as JSON and Markdown into dir and returns the file of
// the latter.
func (f *Fair) Write(dir string) (string, error) {
	base := filepath.Join(dir, "fair-"+f.At.Format("2006-01-02-1504")+"-"+f.Commit)
	data, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return "", fmt.Errorf("write results: %w", err)
	}
	for name, text := range map[string][]byte{base + ".json": append(data, '\n'), base + ".md": []byte(f.Markdown())} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return "", fmt.Errorf("write results: %w", err)
		}
	}
	return base + ".md", nil
}
