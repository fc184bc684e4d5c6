package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/testkit/otlptest"
)

func open(t *testing.T, endpoint string, share float64, deps Deps) *Exporter {
	t.Helper()
	e, err := New(Config{Endpoint: endpoint, Sample: share, Insecure: true}, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx) // a second time in most tests
	})
	return e
}

func shutdown(t *testing.T, e *Exporter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestVisit: a visit through two services and a batch, as the collector sees it.
func TestVisit(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	e := open(t, c.Addr(), 1, Deps{Version: "v1", Instance: "me"})
	began := time.Now().Add(-time.Second)
	first := e.Tracer("scheduler").Begin("crawl", 7, "schedule", began)
	first.Set(URL("http://a.test/x?token=1#!body=secret"), Crawl("crawl"))
	place := first.Place()
	first.End(nil)
	stored := time.Now().Add(-500 * time.Millisecond)
	second := e.Tracer("storage").Receive(place, stored, "tasks", "store")
	batch := e.Tracer("storage").Batch("store batch", []*Span{nil, second})
	second.Child("commit", stored, stored.Add(time.Millisecond))
	second.End(errors.New("disk: no\nsecond line"))
	batch.End(nil)
	shutdown(t, e)

	spans := map[string]otlptest.Span{}
	for _, s := range c.Spans() {
		spans[s.Name] = s
	}
	if len(spans) != 5 || len(c.Spans()) != 5 {
		t.Fatalf("%d spans: %v", len(c.Spans()), spans)
	}
	root, wait, store, commit, of := spans["schedule"], spans["wait: tasks"], spans["store"], spans["commit"], spans["store batch"]
	id := ID("crawl", 7)
	if root.Trace != id || root.Parent != "" || root.Service != "weir-scheduler" || !root.Start.Equal(began.Round(0)) || root.Kind != "PRODUCER" {
		t.Errorf("root %+v, want trace %s from %s", root, id, began)
	}
	if diff := cmp.Diff(map[string]string{"url.full": "http://a.test/x?token=REDACTED", "weir.crawl_id": "crawl"}, root.Attrs); diff != "" {
		t.Error(diff)
	}
	for name, s := range map[string]otlptest.Span{"wait": wait, "store": store} {
		if s.Trace != id || s.Parent != root.ID || s.Service != "weir-storage" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if !wait.Start.Equal(stored.Round(0)) || !wait.End.Equal(store.Start) {
		t.Errorf("waited from %s to %s; stored at %s, begun at %s", wait.Start, wait.End, stored, store.Start)
	}
	if commit.Parent != store.ID || store.Error != "disk: no" {
		t.Errorf("commit %+v of %+v", commit, store)
	}
	if of.Trace == id || of.Parent != "" || !slices.Equal(of.Links, []string{id + "/" + store.ID}) || !slices.Equal(store.Links, []string{of.Trace + "/" + of.ID}) {
		t.Errorf("batch %+v and its member %+v are not linked", of, store)
	}
}

// TestShare: about the share of all visits, the same ones each time.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		share       float64
		least, most int
	}{{0, 0, 0}, {0.1, 850, 1150}, {1, 10000, 10000}} {
		s := newShare(tt.share)
		n := 0
		for lease := range uint64(10000) {
			if s.takes(visitID("crawl", lease)) {
				n++
			}
		}
		if n < tt.least || n > tt.most {
			t.Errorf("%d of 10000 with a share of %v", n, tt.share)
		}
	}
	id := ID("a", 1)
	if id == ID("b", 1) || id == ID("a", 2) || id != ID("a", 1) {
		t.Error("ids do not follow from crawl and lease")
	}
}

// TestOffCostsNothing: without tracing, and for what is not traced, nothing is allocated.
func TestOffCostsNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	c := otlptest.Start(t)
	on := open(t, c.Addr(), 1, Deps{}).Tracer("x")
	for name, tr := range map[string]*Tracer{"off": nil, "on": on} {
		ctx := t.Context()
		n := testing.AllocsPerRun(100, func() {
			s := tr.Receive("", time.Time{}, "tasks", "fetch")
			s.Set()
			s.Child("dns", time.Time{}, time.Time{})
			if s.Place() != "" || s.In(ctx) != ctx {
				t.Error("a span of nothing")
			}
			s.End(nil)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for a message that is not traced", name, n)
		}
	}
	off, err := New(Config{}, Deps{})
	if off != nil || err != nil {
		t.Errorf("without an endpoint: %v, %v", off, err)
	}
	if n := testing.AllocsPerRun(100, func() {
		off.Tracer("x").Begin("crawl", 1, "schedule", time.Time{}).End(nil)
	}); n != 0 {
		t.Errorf("%v allocations for a visit without tracing", n)
	}
	if err := off.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		place string
		ok    bool
	}{
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", false},
		{"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
		{"00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
		{"00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01", false},
		{"", false},
	} {
		if c, ok := parse(tt.place); ok != tt.ok || ok && (c.TraceID().String() != tt.place[3:35] || c.SpanID().String() != tt.place[36:52] || c.IsSampled() != (tt.place[54] == '1')) {
			t.Errorf("%q: %v %v", tt.place, c, ok)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://a.test/p?q=1":                                      "http://a.test/p?q=1",
		"http://a.test/p#!method=POST&body=password%3D1":           "http://a.test/p",
		"http://u:p@a.test/p":                                      "http://a.test/p",
		"http://a.test/p@q?x=a@b":                                  "http://a.test/p@q?x=a@b",
		"http://a.test/p?X-Amz-Signature=ab&x=1&api_key=2&APIKEY=": "http://a.test/p?X-Amz-Signature=REDACTED&x=1&api_key=REDACTED&APIKEY=REDACTED",
		"http://a.test/sid=1?a;jsessionid=2;b=3":                   "http://a.test/sid=1?a;jsessionid=REDACTED;b=3",
		"http://a.test/" + strings.Repeat("x", 2000):               "http://a.test/" + strings.Repeat("x", 1010),
	} {
		if got := clean(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// TestCollectorAway: spans are dropped and counted, nobody waits, and the log has a line
// of it, not one an export.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	c.Refuse(true)
	reg := prometheus.NewRegistry()
	var out bytes.Buffer
	e := open(t, c.Addr(), 1, Deps{Registry: reg, Log: slog.New(slog.NewTextHandler(&out, nil))})
	tr := e.Tracer("x")
	begin := time.Now()
	for lease := range uint64(3 * queueSpans) {
		tr.Begin("crawl", lease, "schedule", begin).End(nil)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_ = e.Shutdown(ctx) // what it says depends on which time is over first
	if n := testutil.ToFloat64(tr0(t, reg, "ended")); n != 3*queueSpans {
		t.Errorf("%v spans ended", n)
	}
	if n := testutil.ToFloat64(tr0(t, reg, "exported")); n != 0 {
		t.Errorf("%v spans exported", n)
	}
	if n := testutil.ToFloat64(tr0(t, reg, "failed")); n == 0 || n > 2*queueSpans {
		t.Errorf("%v spans failed; the rest is to be dropped, not kept", n)
	}
	if n := strings.Count(out.String(), "spans were lost"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, out.String())
	}
}

// tr0 finds one counter of a registry.
func tr0(t *testing.T, reg *prometheus.Registry, outcome string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "weir_trace_spans_total" && m.GetLabel()[0].GetValue() == outcome {
				g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})
				g.Set(m.GetCounter().GetValue())
				return g
			}
		}
	}
	t.Fatalf("no counter of %s", outcome)
	return nil
}

// TestLog: what is logged with a span has the ids to find it by.
func TestLog(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	var out bytes.Buffer
	log, err := obs.NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, c.Addr(), 1, Deps{}).Tracer("x").Begin("crawl", 1, "schedule", time.Now())
	defer s.End(nil)
	log.With("component", "x").WarnContext(s.In(t.Context()), "hello")
	log.WarnContext(t.Context(), "without")
	want := fmt.Sprintf(`"component":"x","trace_id":"%s","span_id":"%s"}`, s.Place()[3:35], s.Place()[36:52])
	first, second, _ := strings.Cut(out.String(), "\n")
	if !strings.HasSuffix(first, want) || strings.Contains(second, "trace_id") {
		t.Errorf("log %s; want %s at the end of the first line", out.String(), want)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cfg  Config
		want int // mistakes
	}{
		"default":  {DefaultConfig(), 0},
		"good":     {Config{Endpoint: "otel:4317", Sample: 0.5, Insecure: true}, 0},
		"scheme":   {Config{Endpoint: "http://otel:4317"}, 1},
		"share":    {Config{Endpoint: "otel:4317", Sample: 1.5}, 1},
		"nowhere":  {Config{Sample: 0.5}, 1},
		"half":     {Config{Endpoint: "otel:4317", TLSCert: "x"}, 1},
		"insecure": {Config{Endpoint: "otel:4317", TLSCA: "x", Insecure: true}, 1},
	} {
		err := tt.cfg.Validate()
		n := 0
		if err != nil {
			n = strings.Count(err.Error(), "\n") + 1
		}
		if n != tt.want {
			t.Errorf("%s: %v, want %d mistakes", name, err, tt.want)
		}
	}
}
