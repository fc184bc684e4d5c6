package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
)

func (a *app) topologyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topology",
		Short: "Declare the streams in NATS, and print what each service's user may do",
		Long: `Declare the streams, consumers and buckets in NATS, and print what each service's user may do.

Schedulers declare them by themselves where their NATS user may. Where it may not, they
wait until weir topology apply has done so.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.topologyApplyCmd(), a.topologyPermissionsCmd())
	return cmd
}

func (a *app) topologyApplyCmd() *cobra.Command {
	s := settings.New(settings.Topology)
	cmd := &cobra.Command{
		Use: "apply", Short: "Create or update streams, consumers and buckets",
		Long: `Create or update streams, consumers and buckets by the settings nats.… and
scheduler.partitions. It may run at any time and as often as one likes: what is in the
streams stays. Run it after an upgrade and after a change of these settings.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.ready(s, cmd)
			if err != nil {
				return err
			}
			return a.applyTopology(cmd.Context(), s, log)
		},
	}
	addSettings(cmd, s, "nats", "nats.user", "nats.password-file", "nats.creds-file", "nats.tls-ca", "nats.tls-cert", "nats.tls-key",
		"nats.replicas", "scheduler.partitions", "config", "log.level", "log.format")
	return cmd
}

func (a *app) applyTopology(ctx context.Context, s *settings.Settings, log *slog.Logger) error {
	b, err := bus.Connect(ctx, s.Bus, bus.Deps{Name: string(settings.Topology), Log: log})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.DeclareTopology(ctx, uint32(s.Scheduler.Partitions)); err != nil {
		return err
	}
	a.note("streams, consumers and buckets are in place for %d partitions", s.Scheduler.Partitions)
	return nil
}

func (a *app) topologyPermissionsCmd() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "permissions", Short: "Print users and permissions as a part of nats-server's configuration",
		Long: `Print users and permissions as a part of nats-server's configuration, to be included in it.

With --users password the server takes each password, or its bcrypt hash, from its
environment: NATS_WEIR_SCHEDULER_PASSWORD and so on. With --users certificate the user is
who the client's certificate says (tls { verify_and_map: true }).`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			if kind != usersPassword && kind != usersCertificate {
				return crawl.Errorf(crawl.Invalid, "--users %q: want %s or %s", kind, usersPassword, usersCertificate)
			}
			return writeUsers(a.Stdout, kind)
		},
	}
	cmd.Flags().StringVar(&kind, "users", usersPassword, "how users show who they are: "+usersPassword+" or "+usersCertificate)
	return cmd
}

// Ways in which NATS users show who they are.
const (
	usersPassword    = "password"
	usersCertificate = "certificate"
)

// writeUsers writes the part of nats-server's configuration.
func writeUsers(w io.Writer, kind string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# One user for each service of Weir, with what it needs and no more.\n# Made by: weir topology permissions --users %s\n", kind)
	b.WriteString("authorization {\n  users: [\n")
	for _, service := range bus.Users() {
		p := bus.PermissionsOf(service)
		b.WriteString("    {\n")
		if kind == usersCertificate {
			fmt.Fprintf(&b, "      user: %q\n", certs.URI(service).String())
		} else {
			fmt.Fprintf(&b, "      user: %q\n      password: $NATS_WEIR_%s_PASSWORD\n", service, strings.ToUpper(service))
		}
		b.WriteString("      permissions: {\n")
		for _, list := range []struct {
			name     string
			subjects []string
		}{{"publish", p.Publish}, {"subscribe", p.Subscribe}} {
			fmt.Fprintf(&b, "        %s: { allow: [\n", list.name)
			for _, subject := range list.subjects {
				fmt.Fprintf(&b, "          %q\n", subject)
			}
			b.WriteString("        ] }\n")
		}
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	_, err := io.WriteString(w, b.String())
	return err
}
