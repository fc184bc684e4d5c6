package obs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/weircrawl/weir/internal/obs"
)

// TestMetrics: what there may be is known before it has a value, through wrappers too.
func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := obs.NewRegistry("v1")
	f := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"pool": "http"}, reg))
	f.NewCounter(prometheus.CounterOpts{Name: "weir_x_a_total", Help: `Says "no" | yes.`})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_x_b", Help: "b"}, func() float64 { return 1 })
	f = promauto.With(reg)
	f.NewHistogramVec(prometheus.HistogramOpts{Name: "weir_x_c_seconds", Help: "c"}, []string{"z", "a"})
	f.NewGaugeVec(prometheus.GaugeOpts{Name: "weir_x_d_total", Help: "d"}, []string{"q"})
	all, err := reg.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]obs.Metric)
	for _, m := range all {
		got[m.Name] = m
	}
	for _, want := range []obs.Metric{
		{Name: "weir_x_a_total", Type: "counter", Help: `Says "no" | yes.`, Labels: []string{"pool"}},
		{Name: "weir_x_b", Type: "gauge", Help: "b", Labels: []string{"pool"}},
		{Name: "weir_x_c_seconds", Type: "histogram", Help: "c", Labels: []string{"a", "z"}},
		{Name: "weir_x_d_total", Type: "gauge", Help: "d", Labels: []string{"q"}},
		{Name: "weir_build_info", Type: "gauge", Help: got["weir_build_info"].Help, Labels: []string{"version"}},
		{Name: "go_goroutines", Type: "gauge", Help: got["go_goroutines"].Help},
	} {
		if diff := cmp.Diff(want, got[want.Name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Name, diff)
		}
	}
}
