package console

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"time"

	"github.com/weircrawl/weir/internal/config"
)

// DefaultListen is where `weir up` and `weir console` serve the page.
const DefaultListen = "127.0.0.1:7090"

// Config of the console.
type Config struct {
	// Listen is the address, host:port. Empty for no console.
	Listen string
	// TLSCert and TLSKey are PEM files; both or none.
	TLSCert, TLSKey string
	// BehindTLS says that a proxy in front of the console speaks TLS, so that browsers
	// may be told to send cookies over TLS only.
	BehindTLS bool
	// Hosts are the names that browsers may call the console by, besides localhost and
	// IP addresses. Default: any name, unless Listen is a loopback address.
	Hosts config.List
	// TokenFile holds the token that the console looks at the services with, where they
	// want one. Default: that of whoever signed in last.
	TokenFile string
	// Interval is the time between two looks.
	Interval time.Duration
	// Streams bounds the browsers that are kept up to date at a time; others reload.
	Streams int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Listen: DefaultListen, Interval: 2 * time.Second, Streams: 64}
}

// RegisterFlags adds the flags.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, prefix+"listen", c.Listen, "address of the web page of `weir up` and `weir console`, host:port; empty for none")
	fs.StringVar(&c.TLSCert, prefix+"tls-cert", c.TLSCert, "PEM file with the web page's certificate")
	fs.StringVar(&c.TLSKey, prefix+"tls-key", c.TLSKey, "PEM file with the web page's key")
	fs.BoolVar(&c.BehindTLS, prefix+"behind-tls", c.BehindTLS, "a proxy in front of the web page speaks TLS: cookies are for TLS only")
	fs.Var(&c.Hosts, prefix+"hosts", "names that browsers may call the web page by, besides localhost and IP addresses (default: any, unless it listens on loopback)")
	fs.StringVar(&c.TokenFile, prefix+"token-file", c.TokenFile, "file with the token that the web page looks at the services with (default: that of whoever signed in last)")
	fs.DurationVar(&c.Interval, prefix+"interval", c.Interval, "time between two looks at the services")
	fs.IntVar(&c.Streams, prefix+"streams", c.Streams, "browsers that are kept up to date at a time; others reload the page")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); c.Listen != "" && err != nil {
		errs = append(errs, fmt.Errorf("console: listen: %w", err))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("console: tls-cert and tls-key go together"))
	}
	if c.Interval < 100*time.Millisecond || c.Interval > 20*time.Second {
		errs = append(errs, fmt.Errorf("console: interval %s: want 100ms to 20s", c.Interval))
	}
	if c.Streams < 1 || c.Streams > 10_000 {
		errs = append(errs, fmt.Errorf("console: streams %d: want 1 to 10000", c.Streams))
	}
	return errors.Join(errs...)
}

// secure reports whether cookies travel over TLS only.
func (c Config) secure() bool { return c.TLSCert != "" || c.BehindTLS }
