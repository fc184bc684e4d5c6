package driver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Mode is a way to run the ring.
type Mode string

// The two ways.
const (
	AllInOne Mode = "all-in-one"
	Split    Mode = "split"
)

// Modes are both ways, for suites that run in each.
func Modes() []Mode { return []Mode{AllInOne, Split} }

// Job is a crawl to run.
type Job struct {
	// Spec is the crawl spec in YAML.
	Spec string
	// Sets are overrides in the form path=value.
	Sets []string
	// Fetchers and Parsers are the concurrency of the stages all in one process.
	// Default: the program's own.
	Fetchers, Parsers int
	// DNS is the DNS server to ask, host:port. Default: the machine's.
	DNS string
	// Processes is the number of fetchers, and of parsers, in split mode. Default: 1.
	Processes int
	// Admin is the admin address all in one process. Default: none.
	Admin string
	// Browsers is the number of fetchers of the render pool in split mode. Default: 0.
	Browsers int
	// Settings are further arguments of every process. Default: none.
	Settings []string
}

// Result is what a finished crawl left.
type Result struct {
	// Exit code of the command that ran or waited.
	Exit int
	// Summary of the crawl.
	Summary Summary
	// Items in the order of the file.
	Items []Item
	// Stderr of the command.
	Stderr string
}

// Loopback is the network that test sites are in.
const Loopback = "127.0.0.0/8"

// Run is an all-in-one crawl: one data folder, several processes one after another
// when it is killed and resumed.
type Run struct {
	// Dir holds spec, data, items and logs.
	Dir string

	bin  Binaries
	job  Job
	wrap []string // a program and its arguments to put before the command
}

// NewRun lays out a run in dir.
func NewRun(b Binaries, dir string, job Job) (*Run, error) {
	r := &Run{Dir: dir, bin: b, job: job}
	if err := os.WriteFile(r.specFile(), []byte(job.Spec), 0o644); err != nil {
		return nil, fmt.Errorf("write spec: %w", err)
	}
	return r, nil
}

// Use has the crawl be another program from its next start on.
func (r *Run) Use(weir string) { r.bin.Weir = weir }

// Wrap puts a program before the command, for example taskset.
func (r *Run) Wrap(argv ...string) { r.wrap = argv }

func (r *Run) specFile() string { return filepath.Join(r.Dir, "spec.yaml") }

// DataDir is the crawl's data folder.
func (r *Run) DataDir() string { return filepath.Join(r.Dir, "data") }

// ItemsFile is where the items go.
func (r *Run) ItemsFile() string { return filepath.Join(r.Dir, "items.jsonl") }

// Args are the arguments of weir.
func (r *Run) Args(more ...string) []string {
	args := []string{
		"crawl", r.specFile(), "--data", r.DataDir(), "-o", r.ItemsFile(),
		"--json", "--quiet", "--allow-net", Loopback,
	}
	for _, s := range r.job.Sets {
		args = append(args, "--set", s)
	}
	if r.job.DNS != "" {
		args = append(args, "--dns", r.job.DNS)
	}
	if r.job.Admin != "" {
		args = append(args, "--admin.listen", r.job.Admin)
	}
	if r.job.Fetchers > 0 {
		args = append(args, "--fetchers", fmt.Sprint(r.job.Fetchers))
	}
	if r.job.Parsers > 0 {
		args = append(args, "--parsers", fmt.Sprint(r.job.Parsers))
	}
	args = append(args, r.job.Settings...)
	return append(args, more...)
}

// Start starts the crawl; more may hold --resume. Output of an earlier process of
// this run is forgotten.
func (r *Run) Start(more ...string) (*Proc, error) {
	for _, f := range []string{"weir.out", "weir.err"} {
		if err := os.RemoveAll(filepath.Join(r.Dir, f)); err != nil {
			return nil, fmt.Errorf("forget old output: %w", err)
		}
	}
	argv := append(slices.Clone(r.wrap), r.bin.Weir)
	argv = append(argv, r.Args(more...)...)
	return Start(Command{Name: "weir", Path: argv[0], Args: argv[1:], Dir: r.Dir, Logs: r.Dir})
}

// Finish waits for a process of this run and reads what it left.
func (r *Run) Finish(ctx context.Context, p *Proc) (Result, error) {
	code, err := p.Wait(ctx)
	if err != nil {
		return Result{}, err
	}
	res := Result{Exit: code, Stderr: p.Stderr()}
	if code != 0 {
		return res, fmt.Errorf("weir crawl: exit code %d\n%s", code, p.Tail())
	}
	if res.Summary, err = ParseSummary(p.Stdout()); err != nil {
		return res, fmt.Errorf("%w\n%s", err, p.Tail())
	}
	res.Items, err = ReadItems(r.ItemsFile())
	return res, err
}

// Crawl runs a job to its end in one of the two modes; dir is for its files.
func Crawl(ctx context.Context, mode Mode, b Binaries, dir string, job Job) (Result, error) {
	if mode == Split {
		return crawlSplit(ctx, b, dir, job)
	}
	r, err := NewRun(b, dir, job)
	if err != nil {
		return Result{}, err
	}
	p, err := r.Start()
	if err != nil {
		return Result{}, err
	}
	res, err := r.Finish(ctx, p)
	if p.Running() {
		_ = p.Kill() // the context ended; its error is the one to tell
	}
	return res, err
}

func crawlSplit(ctx context.Context, b Binaries, dir string, job Job) (_ Result, err error) {
	c, err := StartCluster(ctx, b, dir, ClusterConfig{Fetchers: job.Processes, Parsers: job.Processes, Browsers: job.Browsers, DNS: job.DNS, Settings: job.Settings})
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if stopErr := c.Close(); err == nil {
			err = stopErr
		}
	}()
	id, err := c.Submit(ctx, job)
	if err != nil {
		return Result{}, err
	}
	return c.Finish(ctx, id)
}
