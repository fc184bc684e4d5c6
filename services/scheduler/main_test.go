package scheduler

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }
