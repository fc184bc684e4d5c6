package access

import (
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/weircrawl/weir/internal/obs"
)

// metrics of a guard.
type metrics struct {
	refusals *prometheus.CounterVec
}

// newMetrics registers them, or finds those of another guard of this process.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_access_refusals_total",
		Help: "Calls that were refused, by reason: unauthenticated (a token that nobody knows, or none; many of them are somebody who tries), denied (the role, or what a spec may use), quota (a caller does too much; see its quotas in the file of tokens).",
	}, []string{"reason"})}
	for _, reason := range []string{"unauthenticated", "denied", "quota"} {
		m.refusals.WithLabelValues(reason)
	}
	m.refusals = obs.Register(reg, m.refusals)
	return m
}

func (m *metrics) refused(code codes.Code) {
	reason := "denied"
	switch code {
	case codes.Unauthenticated:
		reason = "unauthenticated"
	case codes.ResourceExhausted:
		reason = "quota"
	case codes.Unavailable: // an issuer that does not answer is no refusal
		return
	}
	m.refusals.WithLabelValues(reason).Inc()
}
