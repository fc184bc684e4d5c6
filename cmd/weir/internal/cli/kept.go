package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// writeProtoLines writes messages as JSON, one a line, with the field names of
// the proto files.
func writeProtoLines[M proto.Message](w io.Writer, messages []M) error {
	opts := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: false}
	for _, m := range messages {
		line, err := opts.Marshal(m)
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
	}
	return nil
}

func (a *app) itemsCmd() *cobra.Command {
	var (
		after, limit uint64
		rule         string
		follow       bool
		rejected     bool
		filter       filterFlags
	)
	cmd := a.clientCmd("items CRAWL", "Print a crawl's items as JSON lines", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		chosen, err := filter.ofItems(time.Now())
		if err != nil {
			return err
		}
		if follow && (rejected || limit > 0) {
			return crawl.Errorf(crawl.Invalid, "--follow goes with neither --rejected nor --limit")
		}
		id, err := c.ID(ctx, args[0])
		if err != nil {
			return err
		}
		if follow {
			return a.followItems(ctx, c, &storagev1.TailRequest{CrawlId: id, After: after, Rule: rule, Filter: chosen})
		}
		src := export.Remote{Client: c.Storage, Request: &storagev1.ListItemsRequest{CrawlId: id, Rule: rule, Rejected: rejected, Filter: chosen}}
		lines := output.NewLines(a.Stdout)
		if _, err := src.Each(ctx, after, limit, lines.Write); err != nil {
			return err
		}
		return lines.Flush()
	})
	fs := cmd.Flags()
	fs.Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	fs.Uint64Var(&after, "after", 0, "start after this position")
	fs.StringVar(&rule, "rule", "", "only items of this rule")
	fs.BoolVar(&rejected, "rejected", false, "the items that did not fit the schema of their rule, with the reason")
	fs.BoolVarP(&follow, "follow", "f", false, "go on with new items until the crawl ends")
	filter.items(fs)
	return cmd
}

// followTries is how often in a row a stream that broke is begun anew, a second apart.
const followTries = 30

// followItems prints items as they are committed until the crawl has ended. When the
// connection breaks it goes on where it was.
func (a *app) followItems(ctx context.Context, c *client.Client, req *storagev1.TailRequest) error {
	lines := output.NewLines(a.Stdout)
	for tries := 0; ; tries++ {
		err := follow(ctx, c, req, func(items []*storagev1.StoredItem) error {
			tries = 0
			for _, it := range items {
				if err := lines.Write(it); err != nil {
					return err
				}
			}
			return lines.Flush()
		})
		if err == nil || crawl.KindOf(err) != crawl.Unavailable || tries >= followTries {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// follow reads one stream and keeps the request's cursor at what was written.
func follow(ctx context.Context, c *client.Client, req *storagev1.TailRequest, write func([]*storagev1.StoredItem) error) error {
	stream, err := c.Storage.Tail(ctx, req)
	if err != nil {
		return err
	}
	return client.Each(stream, func(resp *storagev1.TailResponse) error {
		if err := write(resp.GetItems()); err != nil {
			return err
		}
		req.After = resp.GetCursor()
		return nil
	})
}

// whileRunning calls f with a channel that is closed when a crawl has ended.
func whileRunning(ctx context.Context, c *client.Client, id string, f func(context.Context, <-chan struct{}) error) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	watched := make(chan error, 1)
	go func() {
		_, err := c.Watch(ctx, id, time.Second, func(*schedulerv1.WatchCrawlResponse) {})
		close(ended)
		watched <- err
	}()
	err := f(ctx, ended)
	cancel()
	if werr := <-watched; err == nil {
		err = werr
	}
	return err
}

func (a *app) pagesCmd() *cobra.Command {
	var (
		after, limit uint64
		asJSON       bool
		filter       filterFlags
	)
	cmd := a.clientCmd("pages CRAWL", "Print a crawl's log: every attempt, in the order of its commit", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		chosen, err := filter.ofPages(time.Now())
		if err != nil {
			return err
		}
		id, err := c.ID(ctx, args[0])
		if err != nil {
			return err
		}
		stream, err := c.Storage.ListPages(ctx, &storagev1.ListPagesRequest{CrawlId: id, After: after, Limit: limit, Filter: chosen})
		if err != nil {
			return err
		}
		return client.Each(stream, func(resp *storagev1.ListPagesResponse) error {
			if asJSON {
				return writeProtoLines(a.Stdout, resp.GetPages())
			}
			return a.writePages(resp.GetPages())
		})
	})
	fs := cmd.Flags()
	fs.Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	fs.Uint64Var(&after, "after", 0, "start after this position")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	filter.pages(fs)
	return cmd
}

// writePages writes lines of: time, status or error, size, milliseconds, URL.
func (a *app) writePages(pages []*storagev1.PageInfo) error {
	for _, p := range pages {
		outcome := fmt.Sprint(p.GetStatus())
		if p.GetStatus() == 0 {
			outcome = errorName(p.GetError())
		}
		to := ""
		if p.GetRedirectUrl() != "" {
			to = " -> " + p.GetRedirectUrl()
		}
		if p.GetDuplicateOf() != "" {
			to += " = " + p.GetDuplicateOf()
		}
		if _, err := fmt.Fprintf(a.Stdout, "%s %s %d %dms %s%s\n", p.GetFetchedAt().AsTime().Format("2006-01-02T15:04:05.000Z07:00"), outcome,
			p.GetSize(), p.GetDurationMicros()/1000, p.GetUrl(), to); err != nil {
			return err
		}
	}
	return nil
}

func errorName(e crawlv1.ErrorClass) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), "ERROR_CLASS_"))
}

func (a *app) bodyCmd() *cobra.Command {
	return a.clientCmd("body CRAWL URL", "Print the newest stored body of a page", exact("a CRAWL (id or name)", "a URL"), func(ctx context.Context, c *client.Client, args []string) error {
		id, err := c.ID(ctx, args[0])
		if err != nil {
			return err
		}
		known, err := c.Crawls.ExplainURL(ctx, &schedulerv1.ExplainURLRequest{Crawl: id, Url: args[1]})
		if err != nil {
			return err
		}
		stream, err := c.Storage.GetBody(ctx, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Page{
			Page: &storagev1.GetPageRequest{CrawlId: id, Url: known.GetCanonicalUrl()}}})
		if err != nil {
			return err
		}
		return client.Each(stream, func(resp *storagev1.GetBodyResponse) error {
			if _, err := a.Stdout.Write(resp.GetData()); err != nil {
				return fmt.Errorf("write the body: %w", err)
			}
			return nil
		})
	})
}
