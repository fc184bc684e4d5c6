package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/allinone"
	"github.com/weircrawl/weir/cmd/weir/internal/datadir"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/obs"
)

func (a *app) metricsCmd() *cobra.Command {
	return &cobra.Command{
		Use: "metrics", Short: "Print every metric with its type, labels and meaning, as Markdown", Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			page, err := metricsPage(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.Stdout, page)
			return err
		},
	}
}

// metricsPage opens the whole ring in a folder of its own, runs nothing of it, and
// looks at what its parts have registered.
func metricsPage(ctx context.Context) (page string, err error) {
	folder, err := os.MkdirTemp("", "weir-metrics-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	s := settings.New(settings.Up)
	s.GRPC.Listen, s.Admin.Listen, s.Console.Listen = "127.0.0.1:0", "", "127.0.0.1:0"
	s.Trace.Endpoint, s.Trace.Insecure = "127.0.0.1:4317", true // nothing is sent there
	s.SetData(folder)
	dir, err := datadir.Open(folder)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	ring, err := allinone.Open(ctx, s, allinone.Deps{Dir: dir, Log: slog.New(slog.DiscardHandler), Version: "reference"})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, ring.Close()) }()
	// Processes with certificates have metrics of them.
	if _, err := certs.Open(certs.Files{}, certs.Deps{Use: "grpc", Registry: ring.Registry()}); err != nil {
		return "", err
	}
	metrics, err := ring.Registry().Metrics()
	if err != nil {
		return "", err
	}
	return obs.MetricsPage(metrics), nil
}
