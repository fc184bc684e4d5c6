package cli

import (
	"flag"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/gateway"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
)

// flagNames are the names of all settings.
func flagNames(s *settings.Settings) []string {
	var names []string
	s.FlagSet().VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func (a *app) configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Show the settings and metrics of servers", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.metricsCmd(), &cobra.Command{
		Use: "reference", Short: "Print every setting with its default, as Markdown", Args: none,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Stdout, settings.Reference())
			return err
		},
	}, &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the API over HTTP, as JSON", Args: none,
		RunE: func(*cobra.Command, []string) error {
			doc, err := gateway.Document()
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(doc)
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
