package body_test

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
)

// The archive splices streams only when they end as it knows.
func TestStreamsCanBeSpliced(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"a byte": 1, "a page": 16 << 10, "a chunk": 64 << 10, "longer": 200 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r body.Reader
			b, err := r.Read(strings.NewReader(strings.Repeat("a line of text 123\n", size/19+1)[:size]), 1<<20, free)
			if err != nil {
				t.Fatal(err)
			}
			if !warc.Trimmable(b.Bytes()) {
				t.Errorf("ends with % x", b.Bytes()[max(0, len(b.Bytes())-12):])
			}
		})
	}
}
