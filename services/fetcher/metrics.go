package fetcher

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/render"
)

// metrics are all metrics of the service.
type metrics struct {
	exchanges   [crawl.Classes]prometheus.Counter
	responses   [6]prometheus.Counter // by the first digit of the status
	seconds     prometheus.Histogram
	steps       [steps]prometheus.Observer
	throttled   prometheus.Counter
	bytes       prometheus.Counter
	compressed  prometheus.Counter
	wire        prometheus.Counter
	truncated   prometheus.Counter
	inFlight    prometheus.Gauge
	late        prometheus.Counter
	returned    prometheus.Counter
	stored      prometheus.Counter
	reportsLost prometheus.Counter
	panics      prometheus.Counter
	browser     shownMetrics
}

// newMetrics registers the metrics; a nil registry makes them without registering.
func newMetrics(reg prometheus.Registerer, conns *client.Conns, mem *budget.Budget, limit func() int) *metrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "weir_fetcher_" + name, Help: help})
	}
	m := &metrics{
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_fetcher_exchange_seconds",
			Help:    "Time of an exchange, all outcomes. Sites or the way to them have become slow when it grows.",
			Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		bytes:       counter("body_bytes_total", "Bytes of bodies after decoding."),
		wire:        counter("wire_bytes_total", "Bytes of bodies as they came, codings included: the traffic that crawls cause, but for headers."),
		compressed:  counter("compressed_bytes_total", "Bytes of the same bodies as they travel and are archived."),
		throttled:   counter("throttled_responses_total", "Responses 429 and 503: the site asks to be left alone, and is. Many from many sites: lower concurrency_per_host, raise the delay."),
		truncated:   counter("bodies_truncated_total", "Bodies that are not whole. Raise fetch.max_body of the crawl where pages are cut."),
		late:        counter("tasks_late_total", "Tasks dropped because their lease was over. Add fetchers when it grows."),
		returned:    counter("tasks_returned_total", "Tasks given back to the frontier without an exchange that counts: they were late, or a stop cut them off."),
		stored:      counter("bodies_stored_total", "Bodies too long for a message, put into storage."),
		reportsLost: counter("reports_lost_total", "Fetch reports that could not be sent: the bus was away."),
		panics:      counter("panics_total", "Exchanges that hit a bug; the log has the stack."),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "weir_fetcher_exchanges_in_flight",
			Help: "Exchanges that run now. Raise the concurrency when it stays at its limit.",
		}),
	}
	m.labelled(f)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_fetcher_concurrency_limit",
		Help: "Exchanges that may run at a time now. It falls below the setting while the process runs out of memory or processors: give it more, or lower the setting.",
	}, func() float64 { return float64(limit()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_fetcher_memory_held_bytes",
		Help: "Memory that exchanges have reserved. Near the limit, long bodies wait for each other.",
	}, func() float64 { return float64(mem.Held()) })
	f.NewCounterFunc(prometheus.CounterOpts{
		Name: "weir_fetcher_memory_waits_total",
		Help: "Bodies that had to wait for memory. Raise the memory setting when it grows.",
	}, func() float64 { return float64(mem.Waits()) })
	connections := func(state string, read func() int64) {
		f.NewCounterFunc(prometheus.CounterOpts{
			Name:        "weir_fetcher_connections_total",
			Help:        "Exchanges by whether their connection was fresh or reused. Raise idle-conns when few are reused.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(read()) })
	}
	connections("fresh", conns.Fresh.Load)
	connections("reused", conns.Reused.Load)
	return m
}

// labelled makes every child at once, so that the hot path looks nothing up.
func (m *metrics) labelled(f promauto.Factory) {
	exchanges := f.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_fetcher_exchanges_total",
		Help: "Exchanges by error class, none for a page or a redirect. A jump of one class for all hosts points at this machine's network.",
	}, []string{"class"})
	for c := range m.exchanges {
		m.exchanges[c] = exchanges.WithLabelValues(crawl.Class(c).String())
	}
	responses := f.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_fetcher_responses_total",
		Help: "Responses by class of their status, other for what is none of HTTP's.",
	}, []string{"status"})
	for d := range m.responses {
		m.responses[d] = responses.WithLabelValues(statusLabel(d))
	}
	seconds := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "weir_fetcher_step_seconds",
		Help:    "Time of the steps of exchanges: dns, connect and tls of new connections, first_byte (the site thinks), body. Slow dns: the DNS server; slow connect: the network; slow first_byte: the sites.",
		Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 10, 30},
	}, []string{"step"})
	for i := range m.steps {
		m.steps[i] = seconds.WithLabelValues(stepLabel(i))
	}
}

// The steps of an exchange.
const (
	stepDNS = iota
	stepConnect
	stepTLS
	stepFirstByte
	stepBody
	steps
)

func stepLabel(i int) string { return [steps]string{"dns", "connect", "tls", "first_byte", "body"}[i] }

func statusLabel(digit int) string {
	if digit < 2 {
		return "other"
	}
	return strconv.Itoa(digit) + "xx"
}

// observe counts one outcome.
func (m *metrics) observe(r *client.Result) {
	m.exchanges[r.Class].Inc()
	m.seconds.Observe(r.Duration.Seconds())
	m.bytes.Add(float64(r.Body.Size))
	m.wire.Add(float64(r.WireSize))
	m.compressed.Add(float64(r.Body.Compressed))
	if r.Truncated {
		m.truncated.Inc()
	}
	t := &r.Timings
	for i, took := range [steps]time.Duration{t.DNS, t.Connect, t.TLS, t.FirstByte, t.Body} {
		if took > 0 { // others did not take place
			m.steps[i].Observe(took.Seconds())
		}
	}
	if r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable {
		m.throttled.Inc()
	}
	if r.Status == 0 {
		return
	}
	digit := r.Status / 100
	if digit < 2 || digit >= len(m.responses) {
		digit = 0
	}
	m.responses[digit].Inc()
}

// shownMetrics are those of the render pool.
type shownMetrics struct {
	pages    prometheus.Counter
	requests prometheus.Counter
	blocked  prometheus.Counter
	bytes    prometheus.Counter
}

// register makes the metrics of the pages that are shown.
func (m *shownMetrics) register(reg prometheus.Registerer, pool *render.Pool) {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "weir_fetcher_browser_" + name, Help: help})
	}
	m.pages = counter("pages_total", "Pages that a browser has shown.")
	m.requests = counter("requests_total", "Requests for these pages, the pages themselves included.")
	m.blocked = counter("requests_blocked_total", "Requests that were not made: images, other schemes, and those beyond browser.max_requests.")
	m.bytes = counter("received_bytes_total", "Bytes that came for what the pages asked for.")
	total := func(name, help string, read func() int64) {
		f.NewCounterFunc(prometheus.CounterOpts{Name: "weir_fetcher_browser_" + name, Help: help}, func() float64 { return float64(read()) })
	}
	c := pool.Counts()
	total("starts_total", "Browsers started.", c.Started.Load)
	total("crashes_total", "Browsers that ended by themselves. Lower browser.pages or give the machine more memory when it grows.", c.Crashed.Load)
	total("recycled_total", "Browsers replaced after their pages or memory.", c.Recycled.Load)
	total("retries_total", "Pages shown once more after a crash.", c.Retried.Load)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_fetcher_browser_memory_bytes",
		Help: "Memory that the processes of the browser have for themselves.",
	}, func() float64 { return float64(pool.Memory()) })
}

// shown counts a page that was shown.
func (m *metrics) shown(out *render.Shown) {
	m.browser.pages.Inc()
	m.browser.requests.Add(float64(out.Requests))
	m.browser.blocked.Add(float64(out.Blocked))
	m.browser.bytes.Add(float64(out.Received))
}
