package body_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/weircrawl/weir/services/fetcher/internal/body"
)

// BenchmarkRead is what hashing and compressing costs, by the length of the body.
func BenchmarkRead(b *testing.B) {
	var page bytes.Buffer
	for i := 0; page.Len() < 1<<20; i++ {
		fmt.Fprintf(&page, "<p>Paragraph %d with <a href=\"/page/%d\">a link</a> and words %x.</p>\n", i, i*7919%1000, i*2654435761)
	}
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			data := page.Bytes()[:size]
			var r body.Reader
			var src bytes.Reader
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(data)
				if got, err := r.Read(&src, 10<<20, free); err != nil || got.Size != int64(size) {
					b.Fatal(got.Size, err)
				}
			}
		})
	}
}
