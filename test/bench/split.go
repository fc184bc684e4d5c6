package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/test/driver"
)

// split measures the ring as processes.
func (l *lab) split(ctx context.Context, s Subject, dir string) (_ crawled, err error) {
	cfg := driver.ClusterConfig{Fetchers: s.Width, Parsers: s.Width, Wrap: l.wrap()}
	var pg *database
	if s.Kind == Postgres {
		if pg, err = l.openDatabase(); err != nil {
			return crawled{}, err
		}
		defer func() { err = errors.Join(err, pg.Close()) }()
		cfg.Schedulers, cfg.Store = max(s.Schedulers, 1), pg.DSN()
		cfg.Storages, cfg.Catalogue = 1, pg.catalogue
	}
	c, err := driver.StartCluster(ctx, l.bin, dir, cfg)
	if err != nil {
		return crawled{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	before, err := lookAt(ctx, c, pg)
	if err != nil {
		return crawled{}, err
	}
	out := crawled{run: newRun()}
	begin := startClock(dir)
	id, err := c.Submit(ctx, l.job(s))
	if err != nil {
		return out, err
	}
	if _, err := c.Weir(ctx, "wait", id); err != nil {
		return out, err
	}
	begin.stop(&out.run)
	after, err := lookAt(ctx, c, pg)
	if err != nil {
		return out, err
	}
	for _, name := range c.Names() {
		service, _, _ := strings.Cut(name, "-")
		if err := out.run.add(service, c.Proc(name), before.cpu[name]); err != nil {
			return out, err
		}
	}
	res, err := c.Finish(ctx, id)
	if err != nil {
		return out, err
	}
	if err := res.Summary.Ledger.Balance(); err != nil {
		return out, err
	}
	out.run.Pages, out.items = int(res.Summary.Pages), driver.CountURLs(res.Items)
	out.run.Kept = folderSize(dir, "")
	out.run.Archive = folderSize(dir, archiveFile) / float64(out.run.Pages)
	if pg != nil {
		if err := pg.sizes(&out.run); err != nil {
			return out, err
		}
		out.run.CPU["postgres"] = (after.database.CPU - before.database.CPU).Seconds()
		out.run.PeakMiB["postgres"] = after.database.Memory >> 20
		out.run.Kept += folderSize(filepath.Join(pg.Dir(), "data"), "") - pg.empty
	}
	pages := float64(out.run.Pages)
	out.run.BusIn = float64(after.bus.InBytes-before.bus.InBytes) / pages
	out.run.BusOut = float64(after.bus.OutBytes-before.bus.OutBytes) / pages
	out.run.BusMessages = float64(after.bus.InMessages-before.bus.InMessages) / pages
	return out, out.run.allocations(before.scrapes, after.scrapes)
}

// look is what was seen of the processes of a cluster at one time.
type look struct {
	cpu      map[string]time.Duration
	scrapes  map[string]driver.Scrape
	database driver.Tree
	bus      driver.BusUse
}

func lookAt(ctx context.Context, c *driver.Cluster, pg *database) (out look, err error) {
	out = look{cpu: map[string]time.Duration{}, scrapes: map[string]driver.Scrape{}}
	for _, name := range c.Names() {
		if out.scrapes[name], err = c.Scrape(ctx, name); err != nil {
			return out, err
		}
		if out.cpu[name], err = c.Proc(name).CPU(); err != nil {
			return out, err
		}
	}
	if pg != nil {
		if out.database, err = driver.ReadTree(pg.Pid()); err != nil {
			return out, err
		}
	}
	out.bus, err = c.BusUse(ctx)
	return out, err
}

// allocations and latency between two looks at all processes.
func (r *Run) allocations(before, after map[string]driver.Scrape) error {
	for name, now := range after {
		for metric, into := range map[string]*float64{metricMallocs: &r.Mallocs, metricAllocated: &r.AllocBytes} {
			n, err := now.Sum(metric, "")
			if err != nil {
				return err
			}
			old, err := before[name].Sum(metric, "")
			if err != nil {
				return err
			}
			*into += (n - old) / float64(r.Pages)
		}
		p50, p99, err := turnaround(now, before[name])
		if err != nil {
			return err
		}
		r.P50, r.P99 = max(r.P50, p50), max(r.P99, p99) // of several schedulers the slowest
	}
	return nil
}

// database is a PostgreSQL server of the benchmark's own, on durable settings.
type database struct {
	*pgtest.Cluster
	catalogue string  // address of the second database
	empty     float64 // size of its files before anything was in them
	bare      int64   // size of an empty database
}

// openDatabase starts a server on the processors of what is measured.
func (l *lab) openDatabase() (*database, error) {
	c, err := pgtest.Open(pgtest.Options{Durable: true, Settings: map[string]string{"shared_buffers": "256MB", "max_wal_size": "4GB"}})
	if err != nil {
		return nil, err
	}
	d := &database{Cluster: c}
	if d.catalogue, err = c.Create("catalogue"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if wrap := l.wrap(); len(wrap) > 0 {
		if err := pin(c.Pid(), wrap[len(wrap)-1]); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	d.empty = folderSize(filepath.Join(c.Dir(), "data"), "")
	if d.bare, err = c.Size("postgres"); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return d, nil
}

// sizes notes how long the databases are.
func (d *database) sizes(r *Run) error {
	for name, into := range map[string]*float64{"postgres": &r.Frontier, "catalogue": &r.Catalogue} {
		n, err := d.Size(name)
		if err != nil {
			return err
		}
		*into = float64(n-d.bare) / float64(r.Pages)
	}
	return nil
}

// pin binds a process and its children to processors; those that come later follow.
func pin(pid int, cpus string) error {
	list, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	if err != nil {
		return fmt.Errorf("children of process %d: %w", pid, err)
	}
	for _, p := range append(strings.Fields(string(list)), strconv.Itoa(pid)) {
		if out, err := exec.Command("taskset", "-a", "-c", "-p", cpus, p).CombinedOutput(); err != nil {
			return fmt.Errorf("pin process %s: %w\n%s", p, err, out)
		}
	}
	return nil
}
