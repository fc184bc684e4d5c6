package storage

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are all metrics of the service.
type metrics struct {
	records  *prometheus.CounterVec
	revisits prometheus.Counter
	items    prometheus.Counter
	archive  prometheus.Counter
	batch    prometheus.Histogram
	commit   prometheus.Histogram
	refused  prometheus.Counter
	resync   prometheus.Counter
	bodies   *prometheus.CounterVec
	segments prometheus.Counter

	quarantined prometheus.Gauge
	paused      prometheus.Gauge

	free prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		records: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_storage_records_total",
			Help: "Records handled, by outcome: stored, duplicate (came again; only the result was published), reread (a stored page by a new spec), outdated (such a reading of a page that was visited or read again meanwhile), invalid. Many duplicates mean redelivery: look at restarts.",
		}, []string{"outcome"}),
		revisits: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_revisits_total",
			Help: "Visits that found their page unchanged: by a 304, or with the same body. Nearly all of them: visit less often, or adaptively.",
		}),
		items: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_items_total",
			Help: "Items stored.",
		}),
		archive: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_archive_bytes_total",
			Help: "Bytes written to WARC files. Plan the disk by it.",
		}),
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_storage_batch_records",
			Help:    "Records in one commit. Near the configured batch size all the time: storage is the bottleneck.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_storage_commit_seconds",
			Help:    "Time of one commit, archive and catalogue, their fsyncs included. High values mean a slow disk.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_commits_refused_total",
			Help: "Commits and uploads refused for want of free space. When it moves, free space: nothing is lost, but the crawls stand still.",
		}),
		resync: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_bodies_recompressed_total",
			Help: "Bodies that did not end with a sync marker and had to be compressed again. Should be 0: a fetcher closes its streams without a flush.",
		}),
		bodies: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_storage_long_bodies_total",
			Help: "Long bodies by what became of them: put, archived, swept (their record never came; many mean that records are lost).",
		}, []string{"outcome"}),
		segments: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_storage_segments_finished_total",
			Help: "WARC files that were made whole, indexed and sealed. Standing still while the archive grows by more than storage.segment-size: look for warnings about finishing.",
		}),
		paused: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_storage_intake_paused",
			Help: "1 while nothing is committed for want of free space. Nothing is lost; crawls stand still until there is space.",
		}),
		quarantined: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_storage_segments_quarantined",
			Help: "WARC files with damage; the folder quarantine/ beside them says which and why. Above 0: run weir storage check, look at the disk.",
		}),
		free: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_storage_free_bytes",
			Help: "Free space for the data directory, as seen before the last commit. Below storage.min-free nothing is committed.",
		}),
	}
}
