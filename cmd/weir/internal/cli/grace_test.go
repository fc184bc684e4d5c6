package cli

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/run"
	"github.com/weircrawl/weir/services/fetcher"
	"github.com/weircrawl/weir/services/parser"
	"github.com/weircrawl/weir/services/scheduler"
	"github.com/weircrawl/weir/services/storage"
)

// TestGraceOfPods: Kubernetes kills no service that keeps within its own times, with
// the settings that the manifests bring.
func TestGraceOfPods(t *testing.T) {
	t.Parallel()
	const manifests = "../../../../deploy/k8s/"
	data, err := os.ReadFile(manifests + "base/patches/server.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ *terminationGracePeriodSeconds: (\d+)$`).FindSubmatch(data)
	if m == nil {
		t.Fatal("the manifests name no terminationGracePeriodSeconds")
	}
	seconds, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	// A second for the runtime to pass the signal on.
	grace := time.Duration(seconds)*time.Second - time.Second
	guide, err := os.ReadFile("../../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	idle := func(context.Context) error { return nil }
	for _, file := range []string{"base/weir.yaml", "overlays/dev/weir.yaml", "overlays/small/weir.yaml", "overlays/prod/weir.yaml"} {
		for mode, svc := range map[settings.Mode]service{
			settings.Scheduler: (*scheduler.Service)(nil), settings.Fetcher: (*fetcher.Service)(nil),
			settings.Parser: (*parser.Service)(nil), settings.Storage: (*storage.Service)(nil),
		} {
			s := settings.New(mode)
			s.File = manifests + file
			if err := s.Load(nil, func(name string) bool { return name == "config" }); err != nil {
				t.Fatal(err)
			}
			p := run.Process{Delay: s.ShutdownDelay, Bus: func() error { return nil }, Admin: run.Member{Run: idle}}
			p.Work, p.Stores = stopping(mode, s, svc)
			p.Serve = []run.Member{{Run: idle, Limit: s.GRPC.SoftStop + time.Second}}
			took := p.Grace()
			if took > grace {
				t.Errorf("%s: %s may take %s to stop, its pod has %ds", file, mode, took, seconds)
			}
			if row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %s\b.*\| %.0f s \|$`, mode, took.Seconds())); file == "base/weir.yaml" && !row.Match(guide) {
				t.Errorf("docs/operations.md does not say that %s takes %s to stop at most", mode, took)
			}
			if s.ShutdownDelay < 2*time.Second {
				t.Errorf("%s: shutdown-delay is %s: the endpoints of a Service take longer to change", file, s.ShutdownDelay)
			}
		}
	}
}
