package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func (a *app) reparseCmd() *cobra.Command {
	var (
		file, pattern string
		sets          []string
	)
	cmd := a.clientCmd("reparse CRAWL", "Read the stored pages of a crawl again by another spec", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		if file == "" && len(sets) > 0 {
			return crawl.Errorf(crawl.Invalid, "--set changes a spec: give it with --spec")
		}
		cr, err := c.Get(ctx, args[0])
		if err != nil {
			return err
		}
		if file != "" {
			s, err := readSpec([]string{file}, sets)
			if err != nil {
				return err
			}
			a.warn(s)
			resp, err := c.Crawls.UpdateCrawl(ctx, &schedulerv1.UpdateCrawlRequest{Crawl: cr.GetId(), Spec: s})
			if err != nil {
				return err
			}
			cr = resp.GetCrawl()
		}
		req := &storagev1.ReparseRequest{CrawlId: cr.GetId(), Revision: cr.GetRevision(), UrlPattern: pattern}
		start := time.Now()
		p, err := a.reparseAll(ctx, c, req)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "%d pages read by revision %d in %.1fs; the crawl has %d items\n", p.GetDone(), req.GetRevision(), time.Since(start).Seconds(), p.GetItems())
		if err == nil && p.GetFailed() > 0 {
			err = fmt.Errorf("%d pages could not be read and keep their items: see the log of storage and weir dead", p.GetFailed())
		}
		return err
	})
	cmd.Long = `Read the stored pages of a crawl again: by a new spec, which becomes the crawl's next
revision as with weir update, or by its present one. Nothing is fetched, and no link is
followed. The items of each page are replaced at once; readers with a cursor get the new
ones. When it is broken off, the same command without --spec goes on.`
	fs := cmd.Flags()
	fs.StringVar(&file, "spec", "", "file of the new spec")
	fs.StringArrayVar(&sets, "set", nil, "override a field of the spec: path=value; may be repeated")
	fs.StringVar(&pattern, "url", "", "only pages whose URL matches: a glob, or re: and an RE2 expression")
	return cmd
}

// reparseAll calls again when the connection breaks, or a server that goes down or wants
// its long connections renewed ends the call.
func (a *app) reparseAll(ctx context.Context, c *client.Client, req *storagev1.ReparseRequest) (*storagev1.ReparseResponse, error) {
	var done uint64
	for tries := 0; ; tries++ {
		p, err := a.reparse(ctx, c, req, done)
		if p.GetDone() > 0 {
			done, tries = done+p.GetDone(), 0
		}
		if err == nil {
			p.Done = done
			return p, nil
		}
		if crawl.KindOf(err) != crawl.Unavailable || tries >= followTries {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// reparse follows one call to its end, and tells of it now and then.
func (a *app) reparse(ctx context.Context, c *client.Client, req *storagev1.ReparseRequest, before uint64) (last *storagev1.ReparseResponse, err error) {
	stream, err := c.Storage.Reparse(ctx, req)
	if err != nil {
		return nil, err
	}
	_, interval := a.view(false)
	var told time.Time
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) && last != nil {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		if last = p; time.Since(told) >= interval && p.GetLast() > 0 {
			told = time.Now()
			a.note("%d pages read, %d on their way; %d%% of the log", before+p.GetDone(), p.GetSent()-p.GetDone()-p.GetFailed(), 100*p.GetCursor()/p.GetLast())
		}
	}
}
