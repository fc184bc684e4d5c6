package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/crawl"
)

// How long certificates are good that nobody has said otherwise of: renewed every few
// months, under an authority that outlives a cluster.
const (
	certValid      = 90 * 24 * time.Hour
	authorityValid = 10 * 365 * 24 * time.Hour
)

func (a *app) certsCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Make certificates for the services of a small cluster",
		Long: `Make certificates for the services of a small cluster, for development and tests: an
authority of one's own and, for each service, a folder with tls.crt, tls.key and ca.crt.
Services read them at every handshake: what is renewed needs no restart.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.certsInitCmd(), a.certsRenewCmd())
	return cmd
}

// validity adds the flags that both commands have.
func validity(cmd *cobra.Command, cfg *authority.Config) {
	cmd.Flags().DurationVar(&cfg.Valid, "valid", certValid, "how long the services' certificates are good")
	cmd.Flags().DurationVar(&cfg.AuthorityValid, "authority-valid", authorityValid, "how long a new authority is good")
	cmd.Flags().StringArrayVar(&cfg.Hosts, "host", nil, "name or address of a machine that services run on; may be repeated")
}

func checkValidity(cfg authority.Config) error {
	if cfg.Valid <= 0 || cfg.AuthorityValid < cfg.Valid {
		return crawl.Errorf(crawl.Invalid, "--valid is %s and --authority-valid is %s: the first must be positive and no longer than the second", cfg.Valid, cfg.AuthorityValid)
	}
	return nil
}

func (a *app) certsInitCmd() *cobra.Command {
	var cfg authority.Config
	cmd := &cobra.Command{
		Use: "init DIR", Short: "Make an authority and a certificate for every service", Args: exact("a DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg.Now = time.Now()
			if err := checkValidity(cfg); err != nil {
				return err
			}
			if err := authority.Init(args[0], cfg); err != nil {
				return err
			}
			a.note("%s: give each service its own folder and nobody ca.key; weir certs renew %s in good time before %s",
				args[0], args[0], cfg.Now.Add(cfg.Valid).UTC().Format("2006-01-02"))
			return nil
		},
	}
	cmd.Long = `Make an authority and a certificate for every service. Nothing is overwritten.

The certificates say which service they are of (spiffe://weir/SERVICE) and name localhost,
the services in Kubernetes, and what --host says.`
	validity(cmd, &cfg)
	cmd.Flags().StringVar(&cfg.Namespace, "namespace", "weir", "namespace of the services in Kubernetes; empty for none")
	return cmd
}

func (a *app) certsRenewCmd() *cobra.Command {
	var (
		cfg             authority.Config
		replace, forget bool
	)
	cmd := &cobra.Command{
		Use: "renew DIR", Short: "Make the services' certificates anew", Args: exact("a DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg.Now = time.Now()
			if err := checkValidity(cfg); err != nil {
				return err
			}
			switch {
			case replace && forget:
				return crawl.Errorf(crawl.Invalid, "--new-authority and --forget-old are the first and the last step of replacing an authority: one at a time")
			case replace:
				if err := authority.Replace(args[0], cfg); err != nil {
					return err
				}
				a.note("both authorities count now; when every service has the new ca.crt: weir certs renew %s", args[0])
				return nil
			case forget:
				return authority.Forget(args[0])
			}
			if err := authority.Renew(args[0], cfg); err != nil {
				return err
			}
			a.note("good until %s", cfg.Now.Add(cfg.Valid).UTC().Format("2006-01-02 15:04 MST"))
			return nil
		},
	}
	cmd.Long = `Make the services' certificates anew, with the names that they have and those of --host.
Services need no restart; nats-server reads its own at a reload.

To replace the authority, have each step reach all services before the next:
  weir certs renew DIR --new-authority   both authorities count, nothing is signed anew
  weir certs renew DIR                   the new one signs
  weir certs renew DIR --forget-old      only the new one counts`
	validity(cmd, &cfg)
	cmd.Flags().BoolVar(&replace, "new-authority", false, "add a new authority, which signs from the next renew on")
	cmd.Flags().BoolVar(&forget, "forget-old", false, "have only the newest authority count")
	return cmd
}
