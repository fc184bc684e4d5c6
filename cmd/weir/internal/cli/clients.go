package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/single"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	weirclient "github.com/weircrawl/weir/proto/client"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// remote is the body of a command that is a client.
type remote func(ctx context.Context, c *client.Client, args []string) error

// clientCmd makes a command that talks to a server.
func (a *app) clientCmd(use, short string, args cobra.PositionalArgs, f remote) *cobra.Command {
	var r remoteFlags
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := a.dial(r)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			return f(cmd.Context(), c, args)
		},
	}
	cmd.Flags().StringVar(&r.server, "server", "", serverUsage())
	r.register(cmd.Flags())
	cmd.Flags().StringVar(&r.storage, "storage-server", "", "address of the storage service of a cluster (default: WEIR_STORAGE_SERVER, else the server)")
	return cmd
}

func (a *app) getenv(name string) string {
	for _, kv := range a.Environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

func (a *app) updateCmd() *cobra.Command {
	var sets []string
	cmd := a.clientCmd("update CRAWL SPEC.yaml", "Give a crawl another spec", exact("a CRAWL (id or name)", "a SPEC.yaml"), func(ctx context.Context, c *client.Client, args []string) error {
		s, err := readSpec(args[1:], sets)
		if err != nil {
			return err
		}
		a.warn(s)
		resp, err := c.Crawls.UpdateCrawl(ctx, &schedulerv1.UpdateCrawlRequest{Crawl: args[0], Spec: s})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "%s has revision %d\n", resp.GetCrawl().GetSpec().GetName(), resp.GetCrawl().GetRevision())
		return err
	})
	cmd.Long = `Give a crawl another spec, as its next revision: what is visited from now on is fetched,
parsed and paced by it. Its name and seeds stay (weir add gives it more), and canonical and
order cannot change. Pages that are stored are read again by it with weir reparse.`
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a field of the spec: path=value; may be repeated")
	return cmd
}

func (a *app) submitCmd() *cobra.Command {
	var (
		sets  []string
		close bool
	)
	cmd := a.clientCmd("submit SPEC.yaml | URL…", "Queue a crawl on a server and print its id", nil, func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) == 0 {
			return crawl.Errorf(crawl.Invalid, "name a spec or URLs: weir submit shop.yaml")
		}
		s, err := readSpec(args, sets)
		if err != nil {
			return err
		}
		a.warn(s)
		files := s.GetSeeds().GetFiles()
		resp, err := c.Crawls.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: s})
		if err != nil {
			return err
		}
		id := resp.GetCrawl().GetId()
		if _, err := fmt.Fprintln(a.Stdout, id); err != nil {
			return err
		}
		if len(files) > 0 {
			added, err := c.AddFiles(ctx, id, "", files, a.Stdin)
			a.notes(single.RefusedLines(added))
			if err != nil {
				return err
			}
		}
		if close {
			_, err := c.Crawls.CloseCrawl(ctx, &schedulerv1.CloseCrawlRequest{Crawl: id})
			return err
		}
		a.note("the crawl takes further seeds (weir add); weir close %s lets it finish", id)
		return nil
	})
	cmd.Long = "Queue a crawl on a server and print its id. It starts at once. It takes further seeds\nuntil weir close, or none with --close, and then finishes when nothing is left to visit."
	cmd.Flags().StringArrayVar(&sets, "set", nil, "override a field of the spec: path=value; may be repeated")
	cmd.Flags().BoolVar(&close, "close", false, "take no further seeds: finish when nothing is left to visit")
	return cmd
}

func (a *app) notes(lines []string) {
	for _, line := range lines {
		a.note("%s", line)
	}
}

func (a *app) lsCmd() *cobra.Command {
	var asJSON bool
	cmd := a.clientCmd("ls", "List the crawls of a server, newest first", none, func(ctx context.Context, c *client.Client, _ []string) error {
		crawls, err := c.List(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return writeProtoLines(a.Stdout, crawls)
		}
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ID\tNAME\tOWNER\tSTATE\tPAGES\tQUEUED\tITEMS\tAGE") // Flush tells
		for _, cr := range crawls {
			s := summary.New(cr, time.Now())
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", s.Crawl, s.Name, ownerText(cr), stateText(s), s.Pages, s.Ledger.Queued, s.Items,
				summary.Duration(time.Since(cr.GetCreatedAt().AsTime())))
		}
		return w.Flush()
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// ownerText is who created a crawl; - where that is nobody in particular.
func ownerText(cr *crawlv1.Crawl) string {
	if cr.GetOwner() == "" {
		return "-"
	}
	return cr.GetOwner()
}

func stateText(s summary.Summary) string {
	if s.Reason == "" || s.Reason == "done" {
		return s.State
	}
	return s.State + " (" + s.Reason + ")"
}

func (a *app) statusCmd() *cobra.Command {
	var asJSON bool
	cmd := a.clientCmd("status CRAWL", "Show how a crawl stands", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		cr, err := c.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.writeSummary(summary.New(cr, time.Now()), asJSON, false); err != nil || asJSON {
			return err
		}
		if err := a.writeWarnings(ctx, c, cr.GetId()); err != nil {
			return err
		}
		return a.writeFields(ctx, c, cr.GetId())
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return cmd
}

// writeWarnings says what is wrong with the storage of a crawl: why it stands still.
func (a *app) writeWarnings(ctx context.Context, c *client.Client, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resp, err := c.Storage.GetStats(ctx, &storagev1.GetStatsRequest{CrawlId: id})
	if err != nil {
		return nil // what was asked for has been shown
	}
	for _, line := range resp.GetWarnings() {
		if _, err := fmt.Fprintf(a.Stdout, "  storage   %s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) watchCmd() *cobra.Command {
	return a.clientCmd("watch CRAWL", "Follow a crawl to its end", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		view, interval := a.view(false)
		cr, err := c.Watch(ctx, args[0], interval, func(w *schedulerv1.WatchCrawlResponse) { view.Update(time.Now(), w) })
		view.Done()
		if err != nil {
			return err
		}
		return a.ended(cr, false)
	})
}

func (a *app) waitCmd() *cobra.Command {
	var (
		timeout time.Duration
		asJSON  bool
	)
	cmd := a.clientCmd("wait CRAWL", "Wait for the end of a crawl", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		cr, err := c.Get(ctx, args[0]) // a server that never was there is an error at once
		if err != nil {
			return err
		}
		if cr.GetState() == crawlv1.CrawlState_CRAWL_STATE_RUNNING {
			a.note("the crawl takes further seeds (weir add); when all is visited it waits for weir close %s", args[0])
		}
		if cr, err = waitFor(ctx, c, args[0], timeout); err != nil {
			return err
		}
		return a.ended(cr, asJSON)
	})
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time, with exit code 1 (default: never)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	return cmd
}

// waitFor waits for the end of a crawl, at most for a time; 0 is for ever. The server may
// go away and come back.
func waitFor(ctx context.Context, c *client.Client, name string, timeout time.Duration) (*crawlv1.Crawl, error) {
	cr, err := c.Crawl(name).Wait(ctx, timeout)
	if errors.Is(err, weirclient.ErrTimeout) {
		return nil, fmt.Errorf("crawl %s is still %s after %s", name, summary.StateName(cr.GetState()), timeout)
	}
	return cr, err
}

// ended prints the summary of a crawl that is over; one that failed is an error.
func (a *app) ended(cr *crawlv1.Crawl, asJSON bool) error {
	s := summary.New(cr, time.Now())
	if err := a.writeSummary(s, asJSON, false); err != nil {
		return err
	}
	if s.State != "finished" {
		return fmt.Errorf("crawl %s was %s: %s", s.Crawl, s.State, s.Reason)
	}
	return nil
}

// changed is a request that answers with the crawl after a change.
type changed func(ctx context.Context, c *client.Client, name string) (*crawlv1.Crawl, error)

func (a *app) controlCmd(name, short string, f changed) *cobra.Command {
	return a.clientCmd(name+" CRAWL", short, exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		cr, err := f(ctx, c, args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "%s %s\n", cr.GetId(), summary.StateName(cr.GetState()))
		return err
	})
}

func (a *app) pauseCmd() *cobra.Command {
	return a.controlCmd("pause", "Stop handing out work; what is in flight is finished", func(ctx context.Context, c *client.Client, name string) (*crawlv1.Crawl, error) {
		r, err := c.Crawls.PauseCrawl(ctx, &schedulerv1.PauseCrawlRequest{Crawl: name})
		return r.GetCrawl(), err
	})
}

func (a *app) resumeCmd() *cobra.Command {
	return a.controlCmd("resume", "Go on with a paused or cancelled crawl", func(ctx context.Context, c *client.Client, name string) (*crawlv1.Crawl, error) {
		r, err := c.Crawls.ResumeCrawl(ctx, &schedulerv1.ResumeCrawlRequest{Crawl: name})
		return r.GetCrawl(), err
	})
}

func (a *app) closeCmd() *cobra.Command {
	return a.controlCmd("close", "Take no more seeds; finish what is queued", func(ctx context.Context, c *client.Client, name string) (*crawlv1.Crawl, error) {
		r, err := c.Crawls.CloseCrawl(ctx, &schedulerv1.CloseCrawlRequest{Crawl: name})
		return r.GetCrawl(), err
	})
}

func (a *app) cancelCmd() *cobra.Command {
	return a.controlCmd("cancel", "Stop a crawl now; what it kept stays", func(ctx context.Context, c *client.Client, name string) (*crawlv1.Crawl, error) {
		r, err := c.Crawls.CancelCrawl(ctx, &schedulerv1.CancelCrawlRequest{Crawl: name})
		return r.GetCrawl(), err
	})
}

func (a *app) addCmd() *cobra.Command {
	var (
		notBefore string
		priority  int32
		cmd       *cobra.Command
	)
	cmd = a.clientCmd("add CRAWL URL… | -", "Add seeds to a crawl that was not closed; - reads one URL a line from stdin", nil, func(ctx context.Context, c *client.Client, args []string) error {
		if len(args) < 2 {
			return crawl.Errorf(crawl.Invalid, "weir add takes a CRAWL and URLs, or - for stdin")
		}
		var terms client.Terms
		var err error
		if notBefore != "" {
			if terms.NotBefore, err = when(time.Now(), "not-before", notBefore); err != nil {
				return err
			}
		}
		if cmd.Flags().Changed("priority") {
			terms.Priority = &priority
		}
		var added client.Added
		if len(args) == 2 && args[1] == "-" {
			added, err = c.AddFrom(ctx, args[0], a.Stdin, terms)
		} else {
			added, err = c.AddURLs(ctx, args[0], args[1:], terms)
		}
		a.notes(single.RefusedLines(added))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.Stdout, "added %d, known %d, refused %d\n", added.Added, added.Known, added.RefusedCount); err != nil {
			return err
		}
		if added.RefusedCount > 0 && added.Added+added.Known == 0 {
			return fmt.Errorf("no URL was taken: %w", errQuiet)
		}
		return nil
	})
	cmd.Flags().StringVar(&notBefore, "not-before", "", "visit them not before this time: RFC 3339, a day, or a time from now such as 90m")
	cmd.Flags().Int32Var(&priority, "priority", 0, "their priority, lower is earlier (default: by the spec's rules)")
	return cmd
}
