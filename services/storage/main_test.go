package storage

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary play the process that is killed or that runs out
// of space; see crash_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}
