package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weircrawl/weir/cmd/weir/internal/dryrun"
	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/cmd/weir/internal/progress"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/cmd/weir/internal/single"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/machine"
	"github.com/weircrawl/weir/internal/run"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// dataRoot is the folder of data directories that have no --data.
const dataRoot = "weir-data"

// crawlFlags are those of `weir crawl` besides the settings.
type crawlFlags struct {
	outputs     []string
	format      string
	resume      bool
	sets        []string
	quiet, json bool
	dryRun      int
}

func (a *app) crawlCmd() *cobra.Command {
	var f crawlFlags
	s := settings.New(settings.Crawl)
	cmd := &cobra.Command{
		Use:   "crawl SPEC.yaml | URL…",
		Short: "Crawl a site to its end, with everything in this process",
		Long: `Crawl a site to its end, with everything in this process. The crawl is given as a
spec (see weir spec example) or as URLs, whose hosts it then stays on. What it
keeps is in the data directory; Ctrl-C once finishes what is in hand, and
--resume goes on from there, also after a crash.`,
		Example: `  weir crawl https://shop.example/ -o items.jsonl
  weir crawl shop.yaml --set limits.pages=100 -o items.csv
  weir crawl shop.yaml --dry-run 10
  weir crawl --resume --data weir-data/shop -o items.jsonl`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
				return err
			}
			if cmd.Flags().Changed("dry-run") {
				return a.dryRun(cmd.Context(), s, f, args)
			}
			return a.crawl(cmd.Context(), s, f, args)
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.outputs, "output", "o", nil, "file for the items, or .warc.gz for the archive, - for stdout, or s3://bucket/file; may be repeated")
	fs.StringVar(&f.format, "format", "", formatHelp)
	fs.BoolVar(&f.resume, "resume", false, "go on with the crawl in the data directory")
	fs.StringArrayVar(&f.sets, "set", nil, "override a field of the spec: politeness.delay=0s; may be repeated")
	fs.BoolVar(&f.quiet, "quiet", false, "show no progress")
	fs.IntVar(&f.dryRun, "dry-run", 0, "visit so many pages, keep nothing, and print what would be kept and followed")
	fs.BoolVar(&f.json, "json", false, "print the summary as JSON on stdout")
	addSettings(cmd, s, "data", "allow-net", "fetchers", "browsers", "parsers", "config")
	return cmd
}

// crawl runs one crawl and reports on it.
func (a *app) crawl(ctx context.Context, s *settings.Settings, f crawlFlags, args []string) error {
	targets, err := output.NewTargets(f.outputs, f.format)
	if err != nil {
		return err
	}
	if f.json && targets.Stdout() {
		return crawl.Errorf(crawl.Invalid, "--json and -o - both write to stdout: write the items to a file")
	}
	spec, err := a.crawlSpec(f, args)
	if err != nil {
		return err
	}
	if err := placeData(s, spec); err != nil {
		return err
	}
	if err := lacking(spec, s); err != nil {
		return err
	}
	if err := s.Validate(); err != nil {
		return err
	}
	view, interval := a.view(f.quiet)
	defer machine.SpareHeap(machine.AllServices)()
	sum, err := single.Run(ctx, single.Options{
		Check: func(saved *crawlv1.CrawlSpec) error { return lacking(saved, s) },
		Spec:  spec, Settings: s, Resume: f.resume, Targets: targets, View: view, Interval: interval,
		Stdin: a.Stdin, Stdout: a.Stdout, Version: a.Version,
		Warn: func(line string) { a.note("%s", line) },
	})
	return a.report(sum, err, f, targets, resumeCommand(sum.DataDir, s.Fetcher.AllowNets))
}

// dryRun visits a few pages and says what a crawl would do with them.
func (a *app) dryRun(ctx context.Context, s *settings.Settings, f crawlFlags, args []string) error {
	if f.resume || len(f.outputs) > 0 || f.json {
		return crawl.Errorf(crawl.Invalid, "--dry-run keeps nothing and prints its report: leave out --resume, --output and --json")
	}
	spec, err := a.crawlSpec(f, args)
	if err != nil {
		return err
	}
	if err := errors.Join(deniedSeed(spec, s.Fetcher.AllowNets), noSecret(spec)); err != nil {
		return err
	}
	return dryrun.Run(ctx, dryrun.Options{Spec: spec, Pages: f.dryRun, Nets: s.Fetcher.AllowNets, Version: a.Version, Out: a.Stdout})
}

// crawlSpec reads the spec that the arguments name; nil to resume without one.
func (a *app) crawlSpec(f crawlFlags, args []string) (*crawlv1.CrawlSpec, error) {
	if len(args) == 0 {
		if !f.resume {
			return nil, crawl.Errorf(crawl.Invalid, "name a spec or URLs to crawl: weir crawl shop.yaml, or weir crawl https://shop.example/")
		}
		if len(f.sets) > 0 {
			return nil, crawl.Errorf(crawl.Invalid, "--set needs the spec; a crawl is resumed with the spec it has")
		}
		return nil, nil
	}
	s, err := readSpec(args, f.sets)
	if err != nil {
		return nil, err
	}
	if seeds := s.GetSeeds(); len(seeds.GetUrls())+len(seeds.GetSitemaps())+len(seeds.GetRequests())+len(seeds.GetFiles()) == 0 {
		return nil, crawl.Errorf(crawl.Invalid, "%s: seeds: name at least one URL in seeds.urls, seeds.sitemaps or seeds.requests, or a file of them in seeds.files", args[0])
	}
	a.warn(s)
	return s, nil
}

// placeData chooses the data directory.
func placeData(s *settings.Settings, spec *crawlv1.CrawlSpec) error {
	dir := s.Data
	switch {
	case dir != "":
	case spec == nil:
		return crawl.Errorf(crawl.Invalid, "--resume needs the spec or URLs, or --data with the crawl's directory")
	default:
		dir = filepath.Join(dataRoot, spec.GetName())
	}
	s.SetData(dir)
	return nil
}

// resumeCommand is what goes on with a crawl. Without the networks that it was
// allowed, the rest of it would be refused.
func resumeCommand(dir string, allowed []netip.Prefix) string {
	var b strings.Builder
	b.WriteString("weir crawl --resume --data " + dir)
	for _, n := range allowed {
		b.WriteString(" --allow-net " + n.String())
	}
	return b.String()
}

// report prints the summary and turns the way a crawl ended into an error.
func (a *app) report(sum summary.Summary, err error, f crawlFlags, targets output.Targets, resume string) error {
	if sum.Crawl != "" && crawl.KindOf(err) != crawl.Invalid {
		if werr := a.writeSummary(sum, f.json, targets.Stdout()); err == nil {
			err = werr
		}
	}
	switch {
	case errors.Is(err, run.ErrStopping):
		a.note("interrupted: go on with: %s", resume)
		return err
	case err != nil && sum.Crawl != "" && crawl.KindOf(err) != crawl.Invalid && !strings.Contains(err.Error(), "--resume"):
		return fmt.Errorf("%w; go on with: %s", err, resume)
	case err != nil:
		return err
	case sum.OnlyDenied():
		return errors.New("nothing was fetched: the seeds are on a private network, which is not visited unless it is allowed: add --allow-net CIDR")
	case sum.State == "failed" || sum.State == "cancelled":
		return fmt.Errorf("the crawl %s: %s", sum.State, sum.Reason)
	default:
		return nil
	}
}

func (a *app) writeSummary(sum summary.Summary, asJSON, stdoutTaken bool) error {
	var w io.Writer = a.Stdout
	if stdoutTaken {
		w = a.Stderr
	}
	if asJSON {
		return sum.WriteJSON(w)
	}
	return sum.WriteText(w)
}

// view chooses how progress is shown and how often it is asked for.
func (a *app) view(quiet bool) (progress.View, time.Duration) {
	if quiet {
		return progress.None{}, time.Second
	}
	if f, ok := a.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width := func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return w
		}
		return progress.NewLive(f, width), 250 * time.Millisecond
	}
	return progress.NewLines(a.Stderr, 10*time.Second), time.Second
}

// note tells the user something on stderr.
func (a *app) note(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Stderr, "weir: "+strings.TrimSpace(format)+"\n", args...) // nowhere else to complain
}
