package storage

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weircrawl/weir/internal/crawl"
)

// TestIntakePauses: without enough free space nothing is taken in, which is said once;
// with space it goes on, which is said too.
func TestIntakePauses(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &space{dir: t.TempDir(), min: 1 << 62, m: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		err := s.check()
		if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "no space left in "+s.dir) {
			t.Errorf("error %v", err)
		}
	}
	if n := testutil.ToFloat64(s.m.paused); n != 1 || !strings.Contains(s.why(), "no space left") {
		t.Errorf("paused is %v: %s", n, s.why())
	}
	s.min = 1
	for range 2 {
		if err := s.check(); err != nil {
			t.Error(err)
		}
	}
	if n := testutil.ToFloat64(s.m.paused); n != 0 || s.why() != "" {
		t.Errorf("paused is %v: %s", n, s.why())
	}
	if strings.Count(log.String(), "intake is paused") != 1 || strings.Count(log.String(), "intake goes on") != 1 {
		t.Errorf("log:\n%s", log.String())
	}
}
