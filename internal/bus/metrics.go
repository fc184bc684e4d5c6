package bus

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/obs"
)

// metrics are all of the bus's.
type metrics struct {
	connected prometheus.Gauge
	published *prometheus.CounterVec
	consumed  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	inHand    *prometheus.GaugeVec
	room      *prometheus.GaugeVec
	stages    *stageMetrics
	refused   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		connected: obs.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_bus_connected",
			Help: "1 while the connection to NATS is up. At 0 nothing moves: look at the NATS server.",
		})),
		published: obs.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_bus_published_total",
			Help: "Messages published, by stage and outcome. Many \"full\" mean that the next stage is too slow: add replicas of it.",
		}, []string{"stage", "outcome"})),
		consumed: obs.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_bus_consumed_total",
			Help: "Messages handled, by consumer and outcome. Any \"bug\" or \"dead\" is worth a look at the log.",
		}, []string{"consumer", "outcome"})),
		seconds: obs.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "weir_bus_handler_seconds",
			Help:    "Time of one call of a handler, by consumer. Rising means that the stage's own work or store is slow.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"consumer"})),
		inHand: obs.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_bus_in_hand",
			Help: "Messages delivered and not yet settled, by consumer. At its bound all the time: this replica is saturated.",
		}, []string{"consumer"})),
		room: obs.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_bus_in_hand_limit",
			Help: "The most messages that this replica takes at a time, by consumer; weir_bus_in_hand divided by it is how saturated the replica is.",
		}, []string{"consumer"})),
		stages: newStageMetrics(reg),
		refused: obs.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_bus_refused_total",
			Help: "What the NATS user had no right to do, publish or subscription. Any: the log names the subject; compare the user's permissions with weir topology permissions.",
		}, []string{"operation"})),
	}
}

// publish counts one message by the second token of its subject.
func (m *metrics) publish(subject string, err error) {
	stage, _, _ := strings.Cut(strings.TrimPrefix(subject, "weir."), ".")
	outcome := "ack"
	switch {
	case errors.Is(err, ErrFull):
		outcome = "full"
	case err != nil:
		outcome = crawl.KindOf(err).String()
	}
	m.published.WithLabelValues(stage, outcome).Inc()
}
