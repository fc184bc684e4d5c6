package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/spectest"
	"github.com/weircrawl/weir/cmd/weir/internal/trial"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
)

func (a *app) specTestCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE…",
		Short: "Run tests of specs: saved pages and the items and links that they should give",
		Long: `Run tests of specs. A FILE names a spec, saved pages and what is expected of them:

  spec: shop.yaml
  tests:
    - name: a product
      page: product.html              # relative to FILE
      url: https://shop.example/p/1   # where the page is from
      items:                          # exactly these; fields that begin with _
        - {title: A lamp, price: 12.5}   # count only where they are named
      follow: [https://shop.example/p/2]       # these among others
      not_follow: [https://shop.example/cart]

Also: content_type, headers, depth, rule (look at its items alone), rejected (items
that lack a required field), title. Nothing is fetched.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return crawl.Errorf(crawl.Invalid, "%s takes files of tests: usage: %s", cmd.CommandPath(), cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.specTest(cmd.Context(), args) },
	}
}

func (a *app) specTest(ctx context.Context, files []string) error {
	p, err := trial.NewParser()
	if err != nil {
		return err
	}
	defer p.Close()
	passed, failed := 0, 0
	for _, name := range files {
		f, err := spectest.Load(name)
		if err != nil {
			return err
		}
		s, err := readSpec([]string{f.SpecPath()}, nil)
		if err != nil {
			return err
		}
		for i := range f.Tests {
			t := &f.Tests[i]
			failures, err := f.Run(ctx, p, t, s)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", name, t.Name, rpc.FromStatus(err))
			}
			if len(failures) == 0 {
				passed++
				continue
			}
			failed++
			if _, err := fmt.Fprintf(a.Stdout, "FAIL %s: %s\n     %s\n", name, t.Name, strings.Join(failures, "\n     ")); err != nil {
				return err
			}
		}
	}
	if _, err := fmt.Fprintf(a.Stdout, "%d passed, %d failed\n", passed, failed); err != nil {
		return err
	}
	if failed > 0 {
		return errQuiet
	}
	return nil
}
