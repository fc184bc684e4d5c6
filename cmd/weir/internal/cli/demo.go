package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/demo"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
)

func (a *app) demoCmd() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Crawl a small shop that this program serves to itself, and show what comes out",
		Long: `Serve a small shop on a loopback address, crawl it with the ordinary weir crawl, and
show its items and the summary. It needs no network and leaves nothing behind.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), keep) },
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the data directory, to look around in it")
	return cmd
}

func (a *app) demo(ctx context.Context, keep bool) (err error) {
	site, err := demo.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	if !keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	file := filepath.Join(dir, "shop.yaml")
	if err := os.WriteFile(file, demo.Spec(site.URL()), 0o644); err != nil {
		return fmt.Errorf("write the demo's spec: %w", err)
	}
	a.note("a shop is open at %s; crawling it with this spec:", site.URL())
	if _, err := a.Stderr.Write(demo.Spec(site.URL())); err != nil {
		return err
	}
	s := settings.New(settings.Crawl)
	if err := s.FlagSet().Set("allow-net", site.Net()); err != nil {
		return err
	}
	s.Data = filepath.Join(dir, "data")
	s.Storage.MinFree = 0 // a demo's few kilobytes fit anywhere
	if err := a.crawl(ctx, s, crawlFlags{outputs: []string{"-"}, format: "jsonl"}, []string{file}); err != nil {
		return err
	}
	if keep {
		a.note("the data is in %s", s.Data)
	}
	return nil
}
