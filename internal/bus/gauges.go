package bus

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/obs"
)

// stageMetrics are those of the streams and their consumers, which WatchStages keeps.
type stageMetrics struct {
	lag, working, most, again, pulls         *prometheus.GaugeVec // by consumer
	messages, bytes, mostMessages, mostBytes *prometheus.GaugeVec // by stream
	oldest, dead                             *prometheus.GaugeVec // by stream
}

func newStageMetrics(reg prometheus.Registerer) *stageMetrics {
	gauge := func(name, help, label string) *prometheus.GaugeVec {
		return obs.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "weir_bus_" + name, Help: help}, []string{label}))
	}
	return &stageMetrics{
		lag: gauge("lag_messages",
			"Messages that wait for a consumer or are in its hands, over all replicas; every scheduler exports the same number. Growing: that stage is behind, add replicas of it. The consumer with the most lag is the bottleneck.", "consumer"),
		working: gauge("ack_pending_messages",
			"Messages of the lag that are in the hands of replicas. At weir_bus_ack_pending_limit_messages nobody is given more.", "consumer"),
		most: gauge("ack_pending_limit_messages",
			"The most messages that may be in the hands of all replicas together; the settings nats.*.max-ack-pending.", "consumer"),
		again: gauge("redelivered_messages",
			"Messages in hand that were delivered before. Above 0 for long: a handler fails or takes too long, look at the log of that stage.", "consumer"),
		pulls: gauge("waiting_pulls",
			"Requests for messages that are open at the server. 0 with lag means that no replica of the stage runs, or that all are full.", "consumer"),
		messages: gauge("stream_messages",
			"Messages that a stream holds.", "stream"),
		bytes: gauge("stream_bytes",
			"Bytes that a stream holds. Near its limit the stage before it stops: scale the one that reads it.", "stream"),
		mostMessages: gauge("stream_limit_messages",
			"The most messages that a stream takes, 0 for no bound.", "stream"),
		mostBytes: gauge("stream_limit_bytes",
			"The most bytes that a stream takes.", "stream"),
		oldest: gauge("stream_oldest_seconds",
			"Age of the oldest message of a stream, 0 for an empty one; the tasks stream has none. Growing while the stage works: one message does not get done, or the stage is far behind.", "stream"),
		dead: gauge("dead_letters",
			"Dead letters that are kept, by the stream that they came from. When it grows look at weir dead: each is a URL that failed for a reason of ours, a bug or a program of a user.", "stream"),
	}
}

func (m *stageMetrics) set(stages []Stage, queues []Queue, now time.Time) {
	for _, q := range queues {
		m.messages.WithLabelValues(q.Name).Set(float64(q.Messages))
		m.bytes.WithLabelValues(q.Name).Set(float64(q.Bytes))
		m.mostMessages.WithLabelValues(q.Name).Set(float64(q.MaxMessages))
		m.mostBytes.WithLabelValues(q.Name).Set(float64(q.MaxBytes))
		if q.Name == StreamTasks {
			continue // fences stay for ever
		}
		age := time.Duration(0)
		if !q.Oldest.IsZero() {
			age = max(0, now.Sub(q.Oldest))
		}
		m.oldest.WithLabelValues(q.Name).Set(age.Seconds())
	}
	dead := make(map[string]uint64)
	for _, s := range stages {
		dead[s.Stream] += s.Dead
		m.lag.WithLabelValues(s.Name).Set(float64(s.Waiting + s.Working))
		m.working.WithLabelValues(s.Name).Set(float64(s.Working))
		m.most.WithLabelValues(s.Name).Set(float64(s.MaxWorking))
		m.again.WithLabelValues(s.Name).Set(float64(s.Again))
		m.pulls.WithLabelValues(s.Name).Set(float64(s.Pulls))
	}
	for stream, n := range dead {
		if stream != StreamDead {
			m.dead.WithLabelValues(stream).Set(float64(n))
		}
	}
}

func (m *stageMetrics) reset() {
	for _, v := range []*prometheus.GaugeVec{m.lag, m.working, m.most, m.again, m.pulls, m.messages, m.bytes, m.mostMessages, m.mostBytes, m.oldest, m.dead} {
		v.Reset()
	}
}

const (
	// watchEvery is how often the streams are looked at for the metrics, watchTime how
	// long one look may take.
	watchEvery, watchTime = 5 * time.Second, 4 * time.Second
)

// WatchStages keeps the metrics of streams and consumers until ctx ends; then it
// returns nil, and they are gone. One process of a cluster that does so is enough:
// several show the same.
func (b *Bus) WatchStages(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	defer b.m.stages.reset()
	for {
		look, cancel := context.WithTimeout(ctx, watchTime)
		stages, queues, err := b.Stages(look)
		cancel()
		if err == nil {
			b.m.stages.set(stages, queues, time.Now())
		} else {
			// Old numbers would say that nothing happens; none say that nobody knows.
			b.m.stages.reset()
			b.log.Debug("look at the streams", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
