package pgstore

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
	"github.com/weircrawl/weir/services/storage/internal/catalogue/cataloguetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

// factory opens catalogues in one database.
func factory(t *testing.T) cataloguetest.Factory {
	dsn := pgtest.Database(t)
	return cataloguetest.Factory{Open: func(t *testing.T, owner string) catalogue.Store {
		s, err := Open(t.Context(), Config{DSN: dsn, Owner: owner, Connections: 2})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	cataloguetest.Run(t, factory)
}

func TestSharedConformance(t *testing.T) {
	t.Parallel()
	cataloguetest.RunShared(t, factory)
}
