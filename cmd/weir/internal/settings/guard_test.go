package settings

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// TestEmptyListsAllowNothing: what the file for production says of specs is what the guard
// does, and what it does not say is open.
func TestEmptyListsAllowNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want codes.Code
	}{
		"nothing said": {"", codes.OK},
		"closed":       {"parser: {extractor-allow: []}\nfetcher: {secrets-allow: [], proxy-allow: []}", codes.PermissionDenied},
		"others":       {"parser: {extractor-allow: ['dns:///mine:9000']}", codes.PermissionDenied},
		"this one":     {"parser: {extractor-allow: ['dns:///extractor:*']}", codes.OK},
	} {
		file := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := New(Scheduler)
		s.File = file
		if err := s.Load(nil, func(n string) bool { return n == "config" }); err != nil {
			t.Fatal(err)
		}
		g, err := s.Guard(slog.New(slog.DiscardHandler), nil)
		if err != nil {
			t.Fatal(err)
		}
		call, err := g.Begin(context.Background(), "/weir.scheduler.v1.CrawlService/CreateCrawl")
		if err != nil {
			t.Fatal(err)
		}
		err = call.Message(&schedulerv1.CreateCrawlRequest{Spec: &crawlv1.CrawlSpec{Extractor: &crawlv1.Extractor{Address: "dns:///extractor:9000"}}})
		if status.Code(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
