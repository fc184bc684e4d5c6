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
	var yes bool
	cmd := a.clientCmd("delete CRAWL", "Take a crawl that has ended out of the frontier; what it kept stays", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		cr, err := c.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if !yes {
			question := fmt.Sprintf("Delete crawl %s (%s) with its %d URLs from the frontier? [y/N] ",
				cr.GetId(), cr.GetSpec().GetName(), cr.GetStats().GetLedger().GetDiscovered())
			if err := a.confirm(question); err != nil {
				return err
			}
		}
		if _, err := c.Crawls.DeleteCrawl(ctx, &schedulerv1.DeleteCrawlRequest{Crawl: cr.GetId()}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "%s deleted\n", cr.GetId())
		return err
	})
	cmd.Long = `Take a crawl that has ended out of the frontier: its queue, what it knows of URLs,
its counters. Its pages, items and bodies stay in storage. There is no way back.`
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
