package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/obs"
)

// metrics are all of the console's.
type metrics struct {
	requests *prometheus.CounterVec
	streams  prometheus.Gauge
	look     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		requests: obs.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_console_requests_total",
			Help: "Requests to the web page, by class of status. Many \"5xx\": a service cannot be reached from the console.",
		}, []string{"status"})),
		streams: obs.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_console_streams",
			Help: "Browsers that are kept up to date. At console.streams further ones look every five seconds: raise it, or run another console.",
		})),
		look: obs.Register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_console_look_seconds",
			Help:    "Time of one look at the services for the charts. Rising means that a scheduler or the bus is slow to answer; the charts get coarser.",
			Buckets: []float64{.005, .025, .1, .5, 2.5},
		})),
	}
}

// counted counts requests by what was answered.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &codeWriter{ResponseWriter: w, class: "2xx"}
		defer func() { s.m.requests.WithLabelValues(c.class).Inc() }()
		next.ServeHTTP(c, r)
	})
}

// codeWriter remembers the class of the status that was answered.
type codeWriter struct {
	http.ResponseWriter
	class string
}

// WriteHeader implements http.ResponseWriter.
func (c *codeWriter) WriteHeader(code int) {
	switch {
	case code >= 500:
		c.class = "5xx"
	case code >= 400:
		c.class = "4xx"
	case code >= 300:
		c.class = "3xx"
	}
	c.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController find the connection.
func (c *codeWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
