package certs

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/obs"
)

// metrics of one use of certificates.
type metrics struct{ reloads, failures prometheus.Counter }

func newMetrics(reg prometheus.Registerer, use string, expiry func() float64) *metrics {
	label := prometheus.Labels{"use": use}
	m := &metrics{
		reloads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_tls_reloads_total", ConstLabels: label,
			Help: "Times that replaced certificates were taken up, by use. It should follow every renewal.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_tls_reload_failures_total", ConstLabels: label,
			Help: "Times that the certificate files held something that cannot be used, by use; what was before stays in use. Rising: see the log, and mend the files before the old certificate ends.",
		}),
	}
	if reg == nil {
		return m
	}
	// A process that opens the same files twice counts for both in the first's.
	m.reloads, m.failures = obs.Register(reg, m.reloads), obs.Register(reg, m.failures)
	obs.Register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_tls_certificate_expiry_timestamp_seconds", ConstLabels: label,
		Help: "When the certificate in use ends, by use; 0 without one. Less than a week away: find out why it was not renewed.",
	}, expiry))
	return m
}
