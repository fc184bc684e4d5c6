package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
)

// connectOptions are those that come from the configuration: who the user is, and
// whom to believe. All files are read anew at every connection.
func connectOptions(cfg Config, deps Deps, log *slog.Logger) ([]nats.Option, error) {
	var opts []nats.Option
	if cfg.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	}
	if cfg.User != "" {
		if _, err := password(cfg.PasswordFile); err != nil {
			return nil, &crawl.Error{Kind: crawl.Invalid, Err: err}
		}
		opts = append(opts, nats.UserInfoHandler(func() (string, string) {
			p, err := password(cfg.PasswordFile)
			if err != nil {
				log.Error("cannot log in to NATS", "err", err)
			}
			return cfg.User, p
		}))
	}
	if cfg.TLSCA != "" || cfg.TLSCert != "" {
		k, err := certs.Open(certs.Files{Cert: cfg.TLSCert, Key: cfg.TLSKey, Authority: cfg.TLSCA},
			certs.Deps{Use: "nats", Log: log, Registry: deps.Registry})
		if err != nil {
			return nil, fmt.Errorf("nats: %w", err)
		}
		hosts, err := hostsOf(cfg.URL)
		if err != nil {
			return nil, &crawl.Error{Kind: crawl.Invalid, Err: err}
		}
		opts = append(opts, nats.Secure(k.Client(hosts, certs.NATS)))
	}
	return opts, nil
}

// maxPassword bounds what is read of a file.
const maxPassword = 4096

// password reads a file; the line's end does not belong to it.
func password(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("nats: read password-file: %w", err)
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" || len(text) > maxPassword || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("nats: password-file %s: want one line with the password", file)
	}
	return text, nil
}

// hostsOf returns the hosts of the URLs. Its error has no password in it.
func hostsOf(urls string) ([]string, error) {
	var hosts []string
	for text := range strings.SplitSeq(urls, ",") {
		text = strings.TrimSpace(text)
		if !strings.Contains(text, "://") {
			text = "nats://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("bus: url %q: want nats://HOST:PORT", secret.Address(urls))
		}
		hosts = append(hosts, u.Hostname())
	}
	return hosts, nil
}

// connectError says what to do about an error of the first connection.
func connectError(cfg Config, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its text has the whole URL
	}
	advice := "is nats-server running there with JetStream (-js)? Set --nats.url or WEIR_NATS_URL"
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		advice = "the server knows no such user, or not with this password or certificate: see nats.user, nats.creds-file and nats.tls-cert"
	case errors.Is(err, nats.ErrSecureConnRequired):
		advice = "the server wants TLS: set nats.tls-ca"
	case errors.Is(err, nats.ErrSecureConnWanted):
		advice = "the server has no TLS: leave out nats.tls-ca and nats.tls-cert, or give it a certificate"
	case errors.Is(err, nats.ErrTLS):
		advice = "see nats.tls-ca, nats.tls-cert and nats.tls-key"
	}
	return crawl.Errorf(crawl.Unavailable, "connect to NATS at %s: %w; %s", secret.Address(cfg.URL), err, advice)
}
