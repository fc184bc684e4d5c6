package trace

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
)

// Config of tracing.
type Config struct {
	// Endpoint is the OTLP/gRPC endpoint of a collector, host:port. Empty: no tracing.
	Endpoint string
	// Sample is the share of visits that are traced, from 0 to 1.
	Sample float64
	// Insecure connects without TLS.
	Insecure bool
	// TLSCA is a PEM file with the authority of the collector's certificate. Empty: the
	// system's.
	TLSCA string
	// TLSCert and TLSKey are PEM files that show who exports; both or none.
	TLSCert, TLSKey string
}

// DefaultConfig returns the defaults: no tracing.
func DefaultConfig() Config { return Config{} }

// RegisterFlags adds the flags.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Endpoint, prefix+".endpoint", c.Endpoint, "OTLP/gRPC endpoint of a trace collector, host:port, for example 127.0.0.1:4317; empty for no tracing")
	fs.Float64Var(&c.Sample, prefix+".sample", c.Sample, "share of visits that are traced, from 0 to 1; the scheduler decides, and for gRPC calls each server; 0.001 is plenty for a large crawl")
	fs.BoolVar(&c.Insecure, prefix+".insecure", c.Insecure, "connect to the collector without TLS")
	fs.StringVar(&c.TLSCA, prefix+".tls-ca", c.TLSCA, "PEM file with the authority of the collector's certificate; default: the system's")
	fs.StringVar(&c.TLSCert, prefix+".tls-cert", c.TLSCert, "PEM file with the certificate shown to the collector")
	fs.StringVar(&c.TLSKey, prefix+".tls-key", c.TLSKey, "PEM file with its key")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	var errs []error
	if c.Endpoint != "" {
		if _, _, err := net.SplitHostPort(c.Endpoint); err != nil {
			errs = append(errs, fmt.Errorf("trace: endpoint %q: want host:port, without a scheme: %w", c.Endpoint, err))
		}
	}
	if math.IsNaN(c.Sample) || c.Sample < 0 || c.Sample > 1 {
		errs = append(errs, fmt.Errorf("trace: sample is %v: want a share from 0 to 1", c.Sample))
	}
	if c.Sample > 0 && c.Endpoint == "" {
		errs = append(errs, errors.New("trace: sample without an endpoint to send to: set trace.endpoint"))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("trace: tls-cert and tls-key go together"))
	}
	if c.Insecure && (c.TLSCA != "" || c.TLSCert != "") {
		errs = append(errs, errors.New("trace: insecure and tls-ca or tls-cert exclude each other"))
	}
	return errors.Join(errs...)
}
