package parser

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/weircrawl/weir/services/parser/internal/link"
)

// Outcomes of a page, the labels of weir_parser_pages_total.
const (
	outcomeParsed     = "parsed"
	outcomePanic      = "panic"
	outcomeTimeout    = "timeout"
	outcomeUnreadable = "unreadable"
)

// metrics are all metrics of the service.
type metrics struct {
	pages            *prometheus.CounterVec
	seconds          prometheus.Histogram
	bytes            prometheus.Counter
	links            map[string]prometheus.Counter
	items            prometheus.Counter
	rejected         prometheus.Counter
	stuck            prometheus.Gauge
	extractorCalls   *prometheus.CounterVec
	extractorSeconds prometheus.Histogram
	aside            prometheus.Counter
	fields           *prometheus.CounterVec
	fallen           prometheus.Gauge
	cut              *prometheus.CounterVec
}

// newMetrics registers the metrics; a nil registry makes them without registering.
func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	links := f.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_parser_links_total",
		Help: "Distinct links of pages, by outcome: accepted, or why they are not followed. A jump of host or rule means that the scope does not fit the site.",
	}, []string{"outcome"})
	m := &metrics{
		pages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_parser_pages_total",
			Help: "Pages by outcome: parsed, panic (a bug, see the log), timeout (raise page-timeout or mend the rules), unreadable (the body was damaged on its way).",
		}, []string{"outcome"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_parser_page_seconds",
			Help:    "Time to inflate and read one page. Add parsers when the lag of the pages stream grows; look at the rules when this does.",
			Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 10},
		}),
		bytes: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_parser_body_bytes_total",
			Help: "Bytes of pages read, after decompression.",
		}),
		items: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_parser_items_total",
			Help: "Items made.",
		}),
		rejected: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_parser_rejected_items_total",
			Help: "Items dropped for want of a required field, or kept apart because they do not fit their schema. Many after a change of the site mean that selectors no longer fit.",
		}),
		fields: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_parser_fields_total",
			Help: "Values of the fields of rules, by crawl, rule, field and outcome: filled, empty (the page has nothing for it), invalid (it has something that does not pass). Alarm when filled falls against its own past. Fields beyond the first 1000 count as other.",
		}, []string{"crawl", "rule", "field", "outcome"}),
		fallen: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_parser_fallen_fields",
			Help: "Fields that this parser finds far less often than it did over the last 2000 items. Above 0: see the log for which, then the site.",
		}),
		stuck: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_parser_stuck_pages",
			Help: "Pages that were given up and still use a processor. Above 0 for long: restart the parser, report the page.",
		}),
		extractorCalls: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_parser_extractor_calls_total",
			Help: "Calls of users' extractors by outcome: ok, failed (it may pass: look at the extractor when this grows), refused (the page is a dead letter, see weir dead).",
		}, []string{"outcome"}),
		extractorSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_parser_extractor_seconds",
			Help:    "Time that a user's extractor took for one page, all tries together. Near the timeout of the spec: give the extractor more replicas or the spec more time.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 300},
		}),
		aside: f.NewCounter(prometheus.CounterOpts{
			Name: "weir_parser_put_aside_pages_total",
			Help: "Pages that were put aside because their crawl's extractor was down or had more than enough. Growing: start the extractor, or give it more replicas.",
		}),
		cut: f.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_parser_cut_records_total",
			Help: "Records that did not fit a message, by what was done: body (moved to storage), packed (links compressed), rejects, links, items (dropped). Raise the server's max_payload if items or links are.",
		}, []string{"what"}),
		links: map[string]prometheus.Counter{"accepted": links.WithLabelValues("accepted")},
	}
	for _, r := range link.Reasons() {
		m.links[string(r)] = links.WithLabelValues(string(r))
	}
	return m
}

// link counts links by outcome; one that is not in the closed set counts as
// invalid.
func (m *metrics) link(outcome string, n int) {
	c, ok := m.links[outcome]
	if !ok {
		c = m.links[string(link.Malformed)]
	}
	c.Add(float64(n))
}
