package cli

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/console"
	"github.com/weircrawl/weir/cmd/weir/internal/gateway"
	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/run"
)

func (a *app) consoleCmd() *cobra.Command {
	s := settings.New(settings.Console)
	var servers client.Config
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Serve the web page of a cluster",
		Long: `Serve the web page of a cluster: crawls, stages, hosts, dead letters, explanations, and a
place to submit specs. It calls the services as any client does, with the token of
whoever looks, and keeps nothing: several may run. weir up has it built in.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.ready(s, cmd)
			if err != nil {
				return err
			}
			return a.console(cmd.Context(), s, a.consoleServers(servers), log)
		},
	}
	cmd.Flags().StringVar(&servers.Server, "server", "", "address of the scheduler (default: WEIR_SERVER, else "+settings.DefaultServer+")")
	cmd.Flags().StringVar(&servers.StorageServer, "storage-server", "", "address of the storage service (default: WEIR_STORAGE_SERVER, else the scheduler's)")
	cmd.Flags().StringVar(&servers.ParserServer, "parser-server", "", "address of the parsers, for the fields of rules (default: WEIR_PARSER_SERVER, else the scheduler's)")
	addSettings(cmd, s, "console-listen", "admin-listen", "config", "log.level", "log.format")
	return cmd
}

// consoleServers fills in the environment beneath the flags.
func (a *app) consoleServers(c client.Config) client.Config {
	c.Server = cmp.Or(c.Server, a.getenv("WEIR_SERVER"), settings.DefaultServer)
	c.StorageServer = cmp.Or(c.StorageServer, a.getenv("WEIR_STORAGE_SERVER"))
	c.ParserServer = cmp.Or(c.ParserServer, a.getenv("WEIR_PARSER_SERVER"))
	c.FetcherServer = a.getenv("WEIR_FETCHER_SERVER")
	return c
}

// consoleCertificates are for calls to the services: the console's own, by the settings
// that all services have, or only the authority to believe, as clients name it.
func (a *app) consoleCertificates(s *settings.Settings, deps rpc.Deps) (*certs.Keeper, error) {
	if ca := a.getenv("WEIR_TLS_CA"); s.GRPC.TLSCert == "" && ca != "" {
		return certs.Open(certs.Files{Authority: ca}, certs.Deps{Use: "client", Log: deps.Log, Registry: deps.Registry})
	}
	return s.GRPC.Certificates(deps)
}

// console serves the web page until ctx ends.
func (a *app) console(ctx context.Context, s *settings.Settings, servers client.Config, log *slog.Logger) (err error) {
	registry := obs.NewRegistry(a.Version)
	obs.RegisterConfigInfo(registry, s.Hash())
	admin, err := obs.NewAdmin(s.Admin, obs.Deps{Registry: registry, Log: log, Settings: s.Dump})
	if err != nil {
		return err
	}
	if servers.Certificates, err = a.consoleCertificates(s, rpc.Deps{Log: log, Registry: registry}); err != nil {
		return err
	}
	services, err := client.Dial(servers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, services.Close()) }()
	api, err := gateway.New(services, log)
	if err != nil {
		return err
	}
	page, err := console.New(s.Console, console.Deps{Client: services, API: api, Log: log, Registry: registry, Version: a.Version})
	if err != nil {
		return err
	}
	log.Info("console listens", "url", page.URL(), "server", servers.Server)
	proc := run.Process{
		Unready: admin.Stopping, Delay: s.ShutdownDelay, EndStreams: page.EndStreams,
		Serve: []run.Member{{Name: "console", Run: page.Run, Limit: console.StopTime() + time.Second}},
		Admin: run.Member{Name: "admin", Run: admin.Run}, Log: log,
	}
	return proc.Run(ctx)
}
