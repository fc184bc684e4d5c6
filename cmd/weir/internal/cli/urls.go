package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func (a *app) urlsCmd() *cobra.Command {
	var (
		states        []string
		match, reason string
		limit         uint64
		asJSON        bool
	)
	cmd := a.clientCmd("urls CRAWL", "Print the URLs of a crawl and where they stand", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		req := &schedulerv1.ListURLsRequest{Crawl: args[0], Match: match, Reason: reason}
		var err error
		if req.States, err = urlStates(states); err != nil {
			return err
		}
		return c.URLs(ctx, req, limit, func(urls []*schedulerv1.URLInfo) error {
			if asJSON {
				return writeProtoLines(a.Stdout, urls)
			}
			return a.writeURLs(urls)
		})
	})
	cmd.Long = `Print the URLs of a crawl, one a line: state, outcome of the last attempt or why
it was dropped, attempts, URL. The order is that of the store: it stays the same
while the crawl goes on.`
	cmd.Example = `  weir urls shop --state failed
  weir urls shop --state dropped --reason robots_denied
  weir urls shop --match 'https://shop.example/p/*' --json`
	fs := cmd.Flags()
	fs.StringSliceVar(&states, "state", nil, "only URLs in this state: "+strings.Join(urlStateNames(), ", ")+"; may be repeated")
	fs.StringVar(&match, "match", "", "only URLs that match a glob, or an RE2 expression after re:")
	fs.StringVar(&reason, "reason", "", "only URLs with this error (dns_nxdomain, status_4xx, …) or drop reason (robots_denied, …)")
	fs.Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// urlStateNames are the states of a URL, as people write them.
func urlStateNames() []string {
	var names []string
	for n := range len(schedulerv1.URLState_name) {
		if n > 0 {
			names = append(names, stateOf(schedulerv1.URLState(n)))
		}
	}
	return names
}

func urlStates(names []string) ([]schedulerv1.URLState, error) {
	known := urlStateNames()
	var states []schedulerv1.URLState
	for _, name := range names {
		n := slices.Index(known, strings.ToLower(name))
		if n < 0 {
			return nil, crawl.Errorf(crawl.Invalid, "--state %q: want %s", name, strings.Join(known, ", "))
		}
		states = append(states, schedulerv1.URLState(n+1))
	}
	return states, nil
}

// writeURLs writes lines of: state, outcome, attempts, URL.
func (a *app) writeURLs(urls []*schedulerv1.URLInfo) error {
	var out strings.Builder
	for _, u := range urls {
		what := u.GetReason()
		if what == "" {
			what = outcome(u.GetStatus(), u.GetError())
		}
		fmt.Fprintf(&out, "%-7s %-16s %2d %s\n", stateOf(u.GetState()), what, u.GetAttempts(), u.GetUrl())
	}
	_, err := fmt.Fprint(a.Stdout, out.String())
	return err
}

func (a *app) deleteCmd() *cobra.Command {
	var yes, data bool
	cmd := a.clientCmd("delete CRAWL", "Take a crawl that has ended out of the frontier; with --data, delete what it kept too", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		cr, err := c.Get(ctx, args[0])
		if crawl.KindOf(err) == crawl.NotFound && data {
			return a.deleteData(ctx, c, args[0], yes) // it has left the frontier already
		}
		if err != nil {
			return err
		}
		if !yes {
			also := ""
			if data {
				also = ", and the pages, items and files that it kept"
			}
			question := fmt.Sprintf("Delete crawl %s (%s) with its %d URLs from the frontier%s? [y/N] ",
				cr.GetId(), cr.GetSpec().GetName(), cr.GetStats().GetLedger().GetDiscovered(), also)
			if err := a.confirm(question); err != nil {
				return err
			}
		}
		if _, err := c.Crawls.DeleteCrawl(ctx, &schedulerv1.DeleteCrawlRequest{Crawl: cr.GetId()}); err != nil {
			return err
		}
		if _, err = fmt.Fprintf(a.Stdout, "%s deleted\n", cr.GetId()); err != nil || !data {
			return err
		}
		return a.deleteData(ctx, c, cr.GetId(), true)
	})
	cmd.Long = `Take a crawl that has ended out of the frontier: its queue, what it knows of URLs,
its counters. Its pages, items and bodies stay in storage, unless --data deletes them
too; a crawl that has left the frontier is named by its id then. There is no way back.`
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&data, "data", false, "delete the pages, items and files that it kept too")
	return cmd
}

// deleteData deletes what was kept of a crawl. Nothing kept is no error.
func (a *app) deleteData(ctx context.Context, c *client.Client, id string, yes bool) error {
	st, err := c.Storage.GetStats(ctx, &storagev1.GetStatsRequest{CrawlId: id})
	if err != nil {
		return err
	}
	if st.GetAttempts() == 0 {
		_, err := fmt.Fprintf(a.Stdout, "nothing is kept of %s\n", id)
		return err
	}
	if !yes {
		if err := a.confirm(fmt.Sprintf("Delete the %d pages and %d items that crawl %s kept? [y/N] ", st.GetPages(), st.GetItems(), id)); err != nil {
			return err
		}
	}
	gone, err := c.Storage.DeleteCrawl(ctx, &storagev1.DeleteCrawlRequest{CrawlId: id})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%d attempts and %d items of %s deleted\n", gone.GetAttempts(), gone.GetItems(), id)
	return err
}
