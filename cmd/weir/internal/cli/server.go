package cli

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/allinone"
	"github.com/weircrawl/weir/cmd/weir/internal/datadir"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/machine"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/run"
)

// drainTime is how long a server that is asked to stop waits for what is in hand.
const drainTime = 10 * time.Second

// addSettings gives a command the flags of its settings. All work; only those
// that people type are listed in its help.
func addSettings(cmd *cobra.Command, s *settings.Settings, listed ...string) {
	fs := cmd.Flags()
	fs.AddGoFlagSet(s.FlagSet())
	show := map[string]bool{}
	for _, name := range listed {
		show[name] = true
	}
	for _, f := range flagNames(s) {
		fs.Lookup(f).Hidden = !show[f]
	}
	cmd.Long += "\n\nAll settings, as flags, file (--config) and environment: weir config reference."
}

func (a *app) upCmd() *cobra.Command {
	s := settings.New(settings.Up)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole ring as a server, in this process",
		Long: `Run the whole ring as a server, in this process: scheduler, fetcher, parser, storage
and an embedded NATS. Clients (weir submit, ls, status, …) find it at
127.0.0.1:7070, people at http://127.0.0.1:7090/. Ctrl-C finishes what is in hand; the
next start goes on.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
				return err
			}
			if s.Data == "" {
				s.Data = filepath.Join(dataRoot, "up")
			}
			s.SetData(s.Data)
			if err := s.Validate(); err != nil {
				return err
			}
			return a.up(cmd.Context(), s)
		},
	}
	addSettings(cmd, s, "data", "listen", "console-listen", "admin-listen", "allow-net", "fetchers", "parsers", "config", "log.level", "log.format")
	return cmd
}

// ready reads and checks the settings of a command that keeps no data, and returns its
// logger.
func (a *app) ready(s *settings.Settings, cmd *cobra.Command) (*slog.Logger, error) {
	if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return a.logger(s)
}

func (a *app) logger(s *settings.Settings) (*slog.Logger, error) {
	log, err := obs.NewLogger(a.Stderr, s.LogLevel, s.LogFormat)
	if err != nil {
		return nil, &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	return log, nil
}

// up runs the ring until ctx ends, then drains and stops it.
func (a *app) up(ctx context.Context, s *settings.Settings) (err error) {
	log, err := a.logger(s)
	if err != nil {
		return err
	}
	dir, err := datadir.Open(s.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	defer machine.SpareHeap(machine.AllServices)()
	ring, err := allinone.Open(ctx, s, allinone.Deps{Dir: dir, Log: log, Version: a.Version})
	if err != nil {
		return err
	}
	log.Info("weir is up", "version", a.Version, "console", ring.ConsoleURL(), "grpc", ring.Addr(), "admin", ring.AdminAddr(), "data", s.Data)
	// The ring outlives ctx by the time of draining.
	ringCtx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	ended := make(chan error, 1)
	go func() { ended <- ring.Run(ringCtx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ring.Unready()
	log.Info("stopping: finishing what is in hand", "most", drainTime)
	drain, cancel := context.WithTimeout(ringCtx, drainTime)
	defer cancel()
	if err := ring.Drain(drain); err != nil {
		log.Warn("work in hand was not finished, it is done again at the next start", "err", err)
	}
	stop(run.ErrStopping)
	return <-ended
}
