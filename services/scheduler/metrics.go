package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are all metrics of the service.
type metrics struct {
	results    *prometheus.CounterVec
	reports    prometheus.Counter
	dispatched prometheus.Counter
	returned   *prometheus.CounterVec
	leased     prometheus.Gauge
	batch      prometheus.Histogram
	turn       prometheus.Histogram
	commit     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		results: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_results_total",
			Help: "Results applied, by outcome: done, delayed, failed, duplicate, robots, unknown. Many duplicates mean redelivery: look at restarts and at slow stages.",
		}, []string{"outcome"}),
		reports: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_scheduler_reports_total",
			Help: "Fetch reports received. Far fewer than results means that reports are lost, and hosts are visited more slowly than they could be.",
		}),
		dispatched: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_scheduler_tasks_total",
			Help: "Fetch tasks published.",
		}),
		returned: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_leases_returned_total",
			Help: "Leases taken back without a result, by reason: refused (the tasks stream is full), lost (on no stream), expired, given_back (by a fetcher that stopped or came too late). Lost ones after a crash are normal.",
		}, []string{"reason"}),
		leased: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_scheduler_leases",
			Help: "URLs between dispatch and result. At max-leases a later stage is behind: look at the consumers' lag.",
		}),
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_scheduler_batch_results",
			Help:    "Results in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8),
		}),
		turn: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_scheduler_turn_seconds",
			Help:    "Time of one turn of the loop, the fsync not counted. When it nears a second the frontier is the bottleneck.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 4, 9),
		}),
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_scheduler_commit_seconds",
			Help:    "Time from a batch's write to its being durable. High values mean a slow disk.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 4, 9),
		}),
	}
}
