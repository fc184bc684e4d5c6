package scheduler

import (
	"context"

	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/internal/schema"
	"github.com/weircrawl/weir/services/scheduler/internal/sqlstore"
)

// Migrate brings the tables of a frontier in PostgreSQL, at dsn, to what this program
// knows, or with check only tells how they stand. Schedulers may run meanwhile, those of
// the release before included. New does the same when it opens the store.
func Migrate(ctx context.Context, dsn string, check bool) (schema.State, error) {
	return postgres.MigrateAt(ctx, dsn, sqlstore.Tables(), check)
}
