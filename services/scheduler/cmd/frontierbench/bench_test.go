package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the benchmark find itself in the test's program.
func TestMain(m *testing.M) {
	if os.Getenv("FRONTIERBENCH") != "" {
		if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestShort: each shape is filled, visited, killed in the middle and taken up again
// with everything that was durable, and the report has a row for it.
func TestShort(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	args := []string{"-urls", "3000", "-pages", "300", "-partitions", "4", "-dir", t.TempDir(), "-out", ""}
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range shapes() {
		for _, store := range []string{"pebble", "postgres"} {
			if n := strings.Count(out.String(), fmt.Sprintf("| %s | %s | 3000 |", store, s.name)); n != 3 {
				t.Errorf("%d rows of %s, %s, want one in each of 3 tables:\n%s", n, store, s.name, out.String())
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, flag, value, says string }{
		{"store", "-stores", "bbolt", "bbolt"},
		{"shape", "-shapes", "round", "round"},
		{"size", "-urls", "many", "many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), []string{tt.flag, tt.value, "-dir", t.TempDir(), "-out", ""}, &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that names %q", err, tt.says)
			}
		})
	}
}
