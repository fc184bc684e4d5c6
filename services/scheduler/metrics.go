package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are all metrics of the service.
type metrics struct {
	results    *prometheus.CounterVec
	reports    prometheus.Counter
	dispatched *prometheus.CounterVec
	returned   *prometheus.CounterVec
	leased     prometheus.Gauge
	batch      prometheus.Histogram
	turn       prometheus.Histogram
	commit     prometheus.Histogram
	sessions   prometheus.Counter
	owned      prometheus.Gauge
	moves      *prometheus.CounterVec
	links      *prometheus.CounterVec
	window     *prometheus.GaugeVec
	backlog    *prometheus.GaugeVec
	hosts      *prometheus.GaugeVec
	urls       *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		results: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_results_total",
			Help: "Results applied, by outcome: done, delayed, failed, again (in a browser), duplicate, robots, unknown. Many duplicates mean redelivery: look at restarts and at slow stages.",
		}, []string{"outcome"}),
		reports: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_scheduler_reports_total",
			Help: "Fetch reports received. Far fewer than results means that reports are lost, and hosts are visited more slowly than they could be.",
		}),
		dispatched: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_tasks_total",
			Help: "Fetch tasks published, by pool: http, render (the browsers).",
		}, []string{"pool"}),
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
		sessions: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_scheduler_restarts_total",
			Help: "Times that this replica began anew because a partition became another's or the store was away.",
		}),
		owned: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_scheduler_partitions",
			Help: "Partitions that this replica owns. Over all replicas they must add up to scheduler.partitions.",
		}),
		moves: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_moves_total",
			Help: "Partitions taken and given, by what. Many without replicas that come or go mean that leases are not renewed in time: look at NATS and at this process's CPU.",
		}, []string{"what"}),
		links: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_scheduler_links_total",
			Help: "Links between replicas, by what: messages sent, URLs added.",
		}, []string{"what"}),
		window: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_scheduler_window",
			Help: "Tasks of this replica that may be with the fetchers of a pool, not yet reported.",
		}, []string{"pool"}),
		backlog: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_scheduler_backlog",
			Help: "Tasks of all replicas on the stream, by pool and state: waiting for a fetcher, working. None waiting while hosts are ready means too few tasks; many, too few fetchers. In the pool render they wait for browsers.",
		}, []string{"pool", "state"}),
		hosts: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_scheduler_crawl_hosts",
			Help: "Hosts of an active crawl in this replica's partitions, by state: ready to be visited, waiting for politeness, a slot or robots.txt.",
		}, []string{"crawl", "state"}),
		urls: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_scheduler_crawl_urls",
			Help: "URLs of an active crawl in this replica's partitions, by state: queued, leased (in flight).",
		}, []string{"crawl", "state"}),
	}
}
