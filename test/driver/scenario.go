package driver

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// RunTests is a suite's TestMain: it builds the programs once, into bin, runs the
// tests and returns the exit code.
func RunTests(m *testing.M, bin *Binaries) int {
	flag.Parse()
	dir, err := TempDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built, err := Build(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*bin = built
	return m.Run()
}

// Limit bounds a scenario, generously: a busy machine is no failure.
func Limit(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, fmt.Errorf("the scenario took longer than %v", d))
	t.Cleanup(cancel)
	return ctx
}

// Pause lets time pass where nothing can be waited for.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
