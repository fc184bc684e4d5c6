package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const formatHelp = "jsonl, csv or parquet, the first two also with .gz or .zst, or warc (default: by the file's extension)"

// exportFlags are those of `weir export`.
type exportFlags struct {
	outputs      []string
	format, rule string
	filter       filterFlags
	items        uint64
	every        time.Duration
	follow       bool
	quiet        bool
}

func (a *app) exportCmd() *cobra.Command {
	var f exportFlags
	cmd := a.clientCmd("export CRAWL -o FILE…", "Write a crawl's items, or its archive, to files", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		return a.export(ctx, c, args[0], f)
	})
	cmd.Long = `Write a crawl's items to files, which appear when they are complete. One that is
interrupted goes on where it was when it is asked for again, but for Parquet.

With --items, --every or --follow the items go into many files, NAME-000001.jsonl and
so on, each with a description in JSON beside it, and a manifest at the end; asked for
again, it goes on after the last file.

A file .warc.gz (or --format warc) is the crawl's archive instead: every request and
response, as they were stored.`
	cmd.Example = `  weir export shop -o items.parquet -o items.csv.gz
  weir export shop -o euro.csv --where offer.currency=EUR --since 2026-01-31
  weir export shop -o pages.warc.gz
  weir export shop -o s3://bucket/shop/items.jsonl.zst
  weir export shop -o feed/items.jsonl.gz --follow --items 10000 --every 5m`
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.outputs, "output", "o", nil, "file, - for stdout, or s3://bucket/file; may be repeated")
	fs.StringVar(&f.format, "format", "", formatHelp)
	fs.StringVar(&f.rule, "rule", "", "only items of this rule")
	f.filter.items(fs)
	fs.Uint64Var(&f.items, "items", 0, "begin another file after so many items")
	fs.DurationVar(&f.every, "every", 0, "begin another file after this time, while the crawl runs")
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on with new items until the crawl ends")
	fs.BoolVar(&f.quiet, "quiet", false, "show no progress")
	return cmd
}

func (a *app) export(ctx context.Context, c *client.Client, name string, f exportFlags) error {
	if len(f.outputs) == 0 {
		return crawl.Errorf(crawl.Invalid, "weir export needs -o FILE, or -o - for stdout")
	}
	if f.every > 0 && !f.follow {
		return crawl.Errorf(crawl.Invalid, "--every is for a crawl that runs: add --follow")
	}
	targets, err := output.NewTargets(f.outputs, f.format)
	if err != nil {
		return err
	}
	filter, err := f.filter.ofItems(time.Now())
	if err != nil {
		return err
	}
	if targets.Archive() && (f.rule != "" || keyOf(filter) != "" || f.items > 0 || f.follow) {
		return crawl.Errorf(crawl.Invalid, "a WARC file is the whole archive in one: leave out --rule, --where, --url, --since, --until, --items and --follow")
	}
	known, err := c.GetKept(ctx, name)
	if err != nil {
		return err
	}
	id := known.GetId()
	job := output.Job{
		Source:  export.Remote{Client: c.Storage, Request: &storagev1.ListItemsRequest{CrawlId: id, Rule: f.rule, Filter: filter}},
		Archive: output.Archive{Client: c.Storage, CrawlID: id, Warn: func(line string) { a.note("warning: %s", line) }},
		Key:     id + "/" + f.rule + keyOf(filter), Schema: export.SchemaOf(known.GetSpec()), Stdout: a.Stdout,
	}
	for _, t := range targets {
		if f.items > 0 || f.follow {
			err = a.exportFeed(ctx, c, id, job, t, f)
		} else {
			err = a.exportWhole(ctx, job, t, f.quiet)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exportProgress shows how far an export is, at most once a second.
func (a *app) exportProgress(where string, quiet bool) func(export.Range) {
	if quiet {
		return nil
	}
	next := time.Now().Add(time.Second)
	return func(r export.Range) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			if r.Items == 0 {
				a.note("%s: %s", where, summary.Bytes(r.Bytes))
				return
			}
			a.note("%s: %s items, %s", where, summary.Count(r.Items), summary.Bytes(r.Bytes))
		}
	}
}

func (a *app) exportWhole(ctx context.Context, job output.Job, t output.Target, quiet bool) error {
	job.Progress = a.exportProgress(t.Path, quiet)
	r, err := job.Export(ctx, t)
	if err != nil || t.Stdout() {
		return err
	}
	if t.Kind.Format == export.WARC {
		_, err = fmt.Fprintf(a.Stdout, "%s in %s\n", summary.Bytes(r.Bytes), t.Path)
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s items in %s\n", summary.Count(r.Items), t.Path)
	return err
}

// exportFeed writes many files, until the crawl has ended or, without --follow, until
// what is there now is written.
func (a *app) exportFeed(ctx context.Context, c *client.Client, id string, job output.Job, t output.Target, f exportFlags) error {
	job.Progress = a.exportProgress(t.Path, f.quiet)
	feed, err := job.Feed(ctx, t)
	if err != nil {
		return err
	}
	feed.Items, feed.Every = f.items, f.every
	var m export.Manifest
	write := func(ctx context.Context, ended <-chan struct{}) (err error) {
		m, err = feed.Run(ctx, job.Source, ended)
		return err
	}
	if f.follow {
		err = whileRunning(ctx, c, id, write)
	} else {
		over := make(chan struct{})
		close(over)
		err = write(ctx, over)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s items in %d files, %s-manifest.json\n", summary.Count(m.Items), len(m.Parts), feed.Name)
	return err
}
