package sqlstore

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

// factory opens stores in one database.
func factory(t *testing.T) storetest.Factory {
	dsn := pgtest.Database(t)
	return storetest.Factory{Shared: true, Open: func(t *testing.T) frontier.Store {
		s, err := Open(t.Context(), Config{DSN: dsn, Partitions: storetest.Partitions, Connections: 3, SeenEntries: 8})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, factory)
}

func TestSharedConformance(t *testing.T) {
	t.Parallel()
	storetest.RunShared(t, factory)
}
