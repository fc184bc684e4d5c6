package trace

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are all metrics of tracing.
type metrics struct {
	ended, exported, failed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	spans := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "weir_trace_spans_total",
		Help: "Spans by what became of them: ended, of these exported, and failed (the collector did not take them). What is ended and neither was dropped since the queue was full: lower trace.sample, or look at the collector.",
	}, []string{"outcome"})
	return &metrics{ended: spans.WithLabelValues("ended"), exported: spans.WithLabelValues("exported"), failed: spans.WithLabelValues("failed")}
}
