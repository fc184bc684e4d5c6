package fetcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// nonZero lists the samples that are not zero, histograms by their count.
func nonZero(t *testing.T, reg prometheus.Gatherer) []string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "weir_fetcher_") || f.GetHelp() == "" {
			t.Errorf("metric %s: name or help", f.GetName())
		}
		for _, m := range f.GetMetric() {
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if v == 0 {
				continue
			}
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			out = append(out, fmt.Sprintf("%s%v%v", strings.TrimPrefix(f.GetName(), "weir_fetcher_"), labels, v))
		}
	}
	slices.Sort(out)
	return out
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	var conns client.Conns
	m := newMetrics(reg, &conns, budget.New(1000), func() int { return 7 })
	conns.Fresh.Add(1)
	conns.Reused.Add(2)
	m.observe(&client.Result{Status: 200, Duration: time.Second, Truncated: true, WireSize: 60, Timings: client.Timings{DNS: 1, Body: 1}, Body: body.Body{Size: 100, Compressed: 40}})
	m.observe(&client.Result{Status: 503, Class: crawl.ClassStatus5xx})
	m.observe(&client.Result{Status: 404, Class: crawl.ClassStatus4xx})
	m.observe(&client.Result{Status: 999, Class: crawl.ClassBadResponse})
	m.observe(&client.Result{Class: crawl.ClassDNSNXDomain})
	want := []string{
		"bodies_truncated_total[]1",
		"body_bytes_total[]100",
		"compressed_bytes_total[]40",
		"concurrency_limit[]7",
		"connections_total[state=fresh]1",
		"connections_total[state=reused]2",
		"exchange_seconds[]5",
		"exchanges_total[class=bad_response]1",
		"exchanges_total[class=dns_nxdomain]1",
		"exchanges_total[class=none]1",
		"exchanges_total[class=status_4xx]1",
		"exchanges_total[class=status_5xx]1",
		"responses_total[status=2xx]1",
		"responses_total[status=4xx]1",
		"responses_total[status=5xx]1",
		"responses_total[status=other]1",
		"step_seconds[step=body]1",
		"step_seconds[step=dns]1",
		"throttled_responses_total[]1",
		"wire_bytes_total[]60",
	}
	if diff := cmp.Diff(want, nonZero(t, reg)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestEveryClassHasItsMetric under the name that summaries show.
func TestEveryClassHasItsMetric(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	var conns client.Conns
	m := newMetrics(reg, &conns, budget.New(1000), func() int { return 0 })
	names := make(map[string]bool)
	for c := range crawl.Classes {
		m.observe(&client.Result{Class: crawl.Class(c)})
		names[crawl.Class(c).String()] = true
	}
	found := 0
	for _, line := range nonZero(t, reg) {
		if class, ok := strings.CutPrefix(line, "exchanges_total[class="); ok {
			found++
			if name, count, _ := strings.Cut(class, "]"); !names[name] || count != "1" {
				t.Errorf("%s", line)
			}
		}
	}
	if found != crawl.Classes || len(names) != crawl.Classes {
		t.Errorf("%d classes, %d names, %d metrics", crawl.Classes, len(names), found)
	}
}
