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

	// Sums over all crawls, which setCensus sets.
	ledger     *prometheus.GaugeVec
	dropped    *prometheus.GaugeVec
	states     *prometheus.GaugeVec
	waits      *prometheus.GaugeVec
	partitions prometheus.Gauge

	delay prometheus.Histogram
	visit prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
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
			Help: "Hosts of an active crawl in this replica's partitions, by the crawl's name and state: ready to be visited, waiting for politeness, a slot or robots.txt. Of the first 100 crawls; weir_scheduler_hosts has all.",
		}, []string{"crawl", "state"}),
		urls: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_scheduler_crawl_urls",
			Help: "URLs of an active crawl in this replica's partitions, by the crawl's name and state: queued, leased (in flight). Of the first 100 crawls; weir_scheduler_ledger_urls has all.",
		}, []string{"crawl", "state"}),
	}
	m.sums(f)
	return m
}

// sums makes the metrics of all crawls together.
func (m *metrics) sums(f promauto.Factory) {
	m.ledger = f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_scheduler_ledger_urls",
		Help: "URLs of all crawls in this replica's partitions, by state: discovered, which is the sum of the others, queued, leased, delayed (retries and recrawls), done, failed, dropped. Queued without leased for long: no host may be visited, see weir_scheduler_hosts.",
	}, []string{"state"})
	m.dropped = f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_scheduler_dropped_urls",
		Help: "URLs of all crawls that are never visited, by reason: robots_denied, pages_per_host, trap and others. A jump of robots_denied: a site does not want the crawl; of a trap: look at the rules of the spec.",
	}, []string{"reason"})
	m.states = f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_scheduler_crawls",
		Help: "Crawls at home in this replica's partitions, by state. Failed ones are worth a look at weir status.",
	}, []string{"state"})
	m.waits = f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_scheduler_hosts",
		Help: "Hosts in memory with work, by what they wait for: ready (nothing), visited (as many visits run as may), delay, snoozed (back-off or Retry-After), robots, domain_cap, ip_cap, blocked (by an operator), dead (does not answer). Few ready and many in delay: the sites set the pace, more fetchers do not help. Many ready: fetchers are too few, or the scheduler too slow.",
	}, []string{"state"})
	m.partitions = f.NewGauge(prometheus.GaugeOpts{
		Name: "weir_scheduler_store_partitions",
		Help: "Partitions that the store has, the same at every replica. More than the sum of weir_scheduler_partitions for a minute: some have no owner and their hosts stand still; look at the schedulers' logs and at NATS.",
	})
	m.delay = f.NewHistogram(prometheus.HistogramOpts{
		Name:    "weir_scheduler_politeness_delay_seconds",
		Help:    "For each visit, how long its host had to be left alone after the last exchange: delay, Crawl-delay, adaptive pace, back-off. When it grows the sites have become slow or ask for less.",
		Buckets: []float64{.001, .01, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 3600},
	})
	m.visit = f.NewHistogram(prometheus.HistogramOpts{
		Name:    "weir_scheduler_visit_seconds",
		Help:    "Time of a URL on its way round the ring, from the lease to the applied result: all queues, the exchange, parsing and the commit. When it nears scheduler.lease-time a stage is far behind.",
		Buckets: prometheus.ExponentialBuckets(5e-3, 1.6, 26), // to 630 s,
	})
}
