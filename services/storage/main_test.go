package storage

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/s3test"
)

// TestMain lets the test binary play the process that is killed or that runs out
// of space; see crash_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	if err := s3test.Credentials(os.Setenv); err != nil {
		panic(err) // the machine's mistake: an environment that cannot be set
	}
	// Idle connections of S3 clients, which keep them until the server closes.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}
