package obs

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// RegisterConfigInfo adds weir_config_info{hash} to a registry.
func RegisterConfigInfo(reg prometheus.Registerer, hash string) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "weir_config_info",
		Help:        "Always 1; the label tells settings apart. More than one value among the replicas of a service means that some were not started anew since a change.",
		ConstLabels: prometheus.Labels{"hash": hash},
	})
	info.Set(1)
	reg.MustRegister(info)
}

// NewRegistry returns a registry with the metrics of the Go runtime, of the
// process, and weir_build_info{version}.
func NewRegistry(version string) *Registry {
	reg := &Registry{Registry: prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "weir_build_info",
		Help:        "Always 1; the label is the version that runs. More than one value means that an upgrade is under way.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Register registers c, or returns what another part of this process has registered
// under the same name before, which then counts for both. Without a registry it returns c.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := are.ExistingCollector.(C); ok {
			return old
		}
	}
	return c
}
