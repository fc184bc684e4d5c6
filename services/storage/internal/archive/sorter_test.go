package archive

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// TestSorter sorts in memory and by way of files, and leaves no file behind.
func TestSorter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lines, memory int }{{0, 100}, {1, 100}, {50, 1 << 20}, {1000, 100}, {1000, 3000}, {64, 1}} {
		t.Run(fmt.Sprintf("%d lines in %d bytes", tt.lines, tt.memory), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := newSorter(dir)
			s.memory = tt.memory
			rng := rand.New(rand.NewPCG(1, uint64(tt.lines)))
			var want [][]byte
			for range tt.lines {
				line := fmt.Appendf(nil, "com,example)/%d %d\n", rng.IntN(500), rng.IntN(3))
				want = append(want, line)
				if err := s.add(line); err != nil {
					t.Fatal(err)
				}
			}
			slices.SortFunc(want, bytes.Compare)
			r, size, err := s.sorted()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, bytes.Join(want, nil)) || int64(len(got)) != size {
				t.Errorf("%d bytes of %d, %v", len(got), size, err)
			}
			s.close()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
