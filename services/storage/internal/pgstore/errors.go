package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
)

// Codes that this package looks at.
const (
	uniqueViolation = "23505"
	divisionByZero  = "22012"
)

// wrap says what was being done and, where it is known, what to do about it. What the
// server says about the rows themselves is a bug; everything else may pass.
func wrap(doing string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ours := errors.AsType[*crawl.Error](err); ours {
		return err
	}
	do, kind := postgres.Advice(err), crawl.Unavailable
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && do == "" && !postgres.Passing(err) && pg.Code != uniqueViolation {
		kind = crawl.Internal
	}
	return crawl.Errorf(kind, "catalogue: %s: %w%s", doing, err, do)
}

// hasCode reports whether the server gave an error a code.
func hasCode(err error, code string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == code
}

// retry calls try until it succeeds, fails for good, or the store's patience ends.
func (s *Store) retry(ctx context.Context, doing string, try func(context.Context) error) error {
	return wrap(doing, postgres.Retry(ctx, s.cfg.Patience, postgres.Passing, try))
}
