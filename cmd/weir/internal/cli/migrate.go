package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/schema"
	"github.com/weircrawl/weir/services/scheduler"
	"github.com/weircrawl/weir/services/storage"
)

// migrateCmd is `weir migrate`.
func (a *app) migrateCmd() *cobra.Command {
	var check bool
	s := settings.New(settings.Scheduler)
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the tables of frontier and catalogue to this version",
		Long: `Bring the tables of the frontier (--store) and of the catalogue (--catalogue), in
PostgreSQL, to this version, and say what was done. Services of the release before may
run meanwhile and go on. It may be run again, or at several places at once: one works,
the others wait. Services do the same when they start, so this is for those who want
it done, or its rights given, apart from them.

Stores in a data directory are brought up to date when they are opened.

With --check nothing is changed. The exit code is 1 if there is something to do, or if
the tables are for a newer version.`,
		Example: `  weir migrate --store postgres://weir@db/frontier --catalogue postgres://weir@db/catalogue
  weir migrate --check --config weir.yaml`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Load(a.Environ, cmd.Flags().Changed); err != nil {
				return err
			}
			if s.Scheduler.Store == "" && s.Storage.Catalogue == "" {
				return crawl.Errorf(crawl.Invalid, "name a database with --store, --catalogue or both: stores in a data directory are brought up to date when they are opened")
			}
			return a.migrate(cmd.Context(), s, check)
		},
	}
	addSettings(cmd, s, "store", "catalogue", "config")
	cmd.Flags().BoolVar(&check, "check", false, "only tell how the tables stand")
	return cmd
}

func (a *app) migrate(ctx context.Context, s *settings.Settings, check bool) error {
	var errs []error
	for _, store := range []struct {
		dsn string
		do  func(context.Context, string, bool) (schema.State, error)
	}{{s.Scheduler.Store, scheduler.Migrate}, {s.Storage.Catalogue, storage.Migrate}} {
		if store.dsn == "" {
			continue
		}
		state, err := store.do(ctx, store.dsn, check)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := fmt.Fprintln(a.Stdout, state); err != nil {
			return err
		}
		if state.Behind() {
			errs = append(errs, errQuiet)
		}
	}
	return errors.Join(errs...)
}
