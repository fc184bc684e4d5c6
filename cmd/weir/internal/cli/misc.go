package cli

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/spec"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// flagNames are the names of all settings.
func flagNames(s *settings.Settings) []string {
	var names []string
	s.FlagSet().VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show the settings of servers", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "reference", Short: "Print every setting with its default, as Markdown", Args: none,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Stdout, settings.Reference())
			return err
		},
	})
	return cmd
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: none,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.Stdout, "weir %s %s %s/%s\n", a.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func (a *app) fetchCmd() *cobra.Command {
	var (
		server string
		nets   fetcher.Networks
		sets   []string
		body   bool
	)
	cmd := &cobra.Command{
		Use:   "fetch URL",
		Short: "Fetch one page now and show the response",
		Long: `Fetch one page now and show the response: status, headers, and the body with --body.
It is fetched from this machine, or by a fetcher with --server. No redirect is
followed and no robots.txt is read.`,
		Args: exact("a URL"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := spec.FromURLs(args, sets)
			if err != nil {
				return err
			}
			req := &fetcherv1.FetchRequest{Url: args[0], Options: s.GetFetch()}
			var resp *fetcherv1.FetchResponse
			if server != "" {
				c, err := client.Dial(client.Config{Server: server})
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, c.Close()) }()
				resp, err = c.Fetcher.Fetch(cmd.Context(), req)
				if err != nil {
					return err
				}
				return a.writeFetch(resp, body)
			}
			if err := deniedSeed(s, nets); err != nil {
				return err
			}
			cfg := fetcher.DefaultConfig()
			cfg.AllowNets = nets
			svc, err := fetcher.New(cfg, fetcher.Deps{Log: slog.New(slog.DiscardHandler), Version: a.Version})
			if err != nil {
				return err
			}
			if resp, err = svc.Fetch(cmd.Context(), req); err != nil {
				return err
			}
			return a.writeFetch(resp, body)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&server, "server", "", "address of a fetcher, or of weir up, that fetches instead of this machine")
	var std flag.FlagSet
	std.Var(&nets, "allow-net", "private or loopback network that may be visited, as CIDR; may be repeated")
	fs.AddGoFlagSet(&std)
	fs.StringArrayVar(&sets, "set", nil, "override a field of the spec: fetch.timeout=5s; may be repeated")
	fs.BoolVar(&body, "body", false, "print the body alone")
	return cmd
}

// writeFetch shows an exchange.
func (a *app) writeFetch(resp *fetcherv1.FetchResponse, bodyOnly bool) error {
	f := resp.GetFetch()
	if f.GetError() != 0 && f.GetStatus() == 0 {
		return fmt.Errorf("%s: %s", errorName(f.GetError()), f.GetErrorDetail())
	}
	if bodyOnly {
		_, err := a.Stdout.Write(resp.GetBody())
		return err
	}
	out := fmt.Sprintf("%s %d\n", f.GetProtocol(), f.GetStatus())
	for _, h := range f.GetResponseHeaders() {
		out += fmt.Sprintf("%s: %s\n", h.GetName(), h.GetValue())
	}
	out += fmt.Sprintf("\n%s in %s from %s\n", summary.Bytes(resp.GetSize()), summary.Duration(f.GetDuration().AsDuration()), f.GetRemoteAddr())
	if f.GetRedirectUrl() != "" {
		out += "redirects to " + f.GetRedirectUrl() + "\n"
	}
	if f.GetError() != 0 {
		out += fmt.Sprintf("%s: %s\n", errorName(f.GetError()), f.GetErrorDetail())
	}
	_, err := fmt.Fprint(a.Stdout, out)
	return err
}
