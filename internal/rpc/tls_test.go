package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
)

// folder makes certificates for all services.
func folder(t *testing.T) (dir string, cfg authority.Config) {
	t.Helper()
	dir, cfg = t.TempDir(), authority.Config{Now: time.Now(), Valid: time.Hour, AuthorityValid: time.Hour}
	if err := authority.Init(dir, cfg); err != nil {
		t.Fatal(err)
	}
	return dir, cfg
}

// configOf is the configuration of a service of the folder.
func configOf(dir, service string) rpc.Config {
	cfg, files := rpc.DefaultConfig(), authority.Files(dir, service)
	cfg.Listen = "127.0.0.1:0"
	cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = files.Cert, files.Key, files.Authority
	return cfg
}

// whoami starts a server that answers with the identity of its caller.
func whoami(t *testing.T, cfg rpc.Config, deps rpc.Deps) *rpc.Server {
	t.Helper()
	s, err := rpc.NewServer(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.RegisterService(describe(), service(func(ctx context.Context, _ string) (string, error) {
		name, shown := rpc.PeerService(ctx)
		return fmt.Sprint(name, " ", shown), nil
	}))
	serve(t, s.Serve)
	return s
}

func keeper(t *testing.T, cfg rpc.Config) *certs.Keeper {
	t.Helper()
	k, err := cfg.Certificates(rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ask calls a server once over a connection of its own.
func ask(t *testing.T, addr string, creds credentials.TransportCredentials) (string, error) {
	t.Helper()
	cc, err := rpc.Dial(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return call(ctx, cc, "x")
}

// cut reports whether a connection just ended: in TLS 1.3 a client may write before it
// reads why it was refused.
func cut(err error) bool {
	return strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "EOF")
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir, _ := folder(t)
	foreign, _ := folder(t)
	required := whoami(t, configOf(dir, certs.Storage), rpc.Deps{}).Addr()
	optional := whoami(t, configOf(dir, certs.Storage), rpc.Deps{CallersMayLackCertificates: true}).Addr()
	plain := rpc.DefaultConfig()
	plain.Listen = "127.0.0.1:0"
	open := whoami(t, plain, rpc.Deps{}).Addr()

	bare, err := certs.Open(certs.Files{Authority: authority.Files(dir, certs.Admin).Authority}, certs.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	mixed := configOf(dir, certs.Fetcher) // a foreign certificate, but our authority
	other := authority.Files(foreign, certs.Fetcher)
	mixed.TLSCert, mixed.TLSKey = other.Cert, other.Key
	fetcher := rpc.Credentials(keeper(t, configOf(dir, certs.Fetcher)), certs.Storage)
	for _, tc := range []struct {
		name  string
		addr  string
		creds credentials.TransportCredentials
		want  string // answer
		err   string // or part of the error
	}{
		{"a service", required, fetcher, "fetcher true", ""},
		{"a service, where tokens do too", optional, fetcher, "fetcher true", ""},
		{"by name", strings.Replace(required, "127.0.0.1", "localhost", 1), fetcher, "fetcher true", ""},
		{"no certificate", required, rpc.Credentials(bare, certs.Storage), "", "certificate required"},
		{"no certificate, where tokens do", optional, rpc.Credentials(bare, certs.Storage), " false", ""},
		{"plain text", required, rpc.Credentials(nil), "", "reading server preface"},
		{"plain text, where tokens do", optional, rpc.Credentials(nil), "", "reading server preface"},
		{"plain text at an open server", open, rpc.Credentials(nil), " false", ""},
		{"foreign certificate", required, rpc.Credentials(keeper(t, mixed), certs.Storage), "", "unknown certificate authority"},
		{"foreign certificate, where tokens do", optional, rpc.Credentials(keeper(t, mixed), certs.Storage), "", "unknown certificate authority"},
		{"foreign server", required, rpc.Credentials(keeper(t, configOf(foreign, certs.Fetcher)), certs.Storage), "", "unknown authority"},
		{"another service answers", required, rpc.Credentials(keeper(t, configOf(dir, certs.Fetcher)), certs.Scheduler), "", `of storage, want scheduler`},
		{"TLS to an open server", open, fetcher, "", "first record does not look like a TLS handshake"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t, tc.addr, tc.creds)
			if tc.err == "" && (err != nil || got != tc.want) {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
			if tc.err != "" && (err == nil || crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), tc.err) && !cut(err)) {
				t.Errorf("got %q, %v of kind %s; want %q", got, err, crawl.KindOf(err), tc.err)
			}
		})
	}
}

// The authority is replaced while calls go on, each over a connection of its own: none fails.
func TestRotationWhileCallsGoOn(t *testing.T) {
	t.Parallel()
	dir, cfg := folder(t)
	reg := prometheus.NewRegistry()
	addr := whoami(t, configOf(dir, certs.Storage), rpc.Deps{Registry: reg}).Addr()
	// The files are those of one folder, so a step reaches all at nearly the same time,
	// and both ends must do with whatever order.
	creds := rpc.Credentials(keeper(t, configOf(dir, certs.Parser)), certs.Storage)
	long, err := rpc.Dial(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = long.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var rounds [4]atomic.Int64 // of each caller
	round := make(chan struct{}, 1)
	for i := range rounds {
		wg.Go(func() {
			for ctx.Err() == nil {
				if got, err := ask(t, addr, creds); err != nil || got != "parser true" {
					t.Errorf("a call over a new connection: %q, %v", got, err)
				}
				if got, err := call(t.Context(), long, "x"); err != nil || got != "parser true" {
					t.Errorf("a call over an old connection: %q, %v", got, err)
				}
				rounds[i].Add(1)
				select {
				case round <- struct{}{}:
				default:
				}
			}
		})
	}
	// Each caller has begun and ended some calls: none is in the middle of a handshake with
	// what it read two steps ago.
	some := func() {
		for i := range rounds {
			for last := rounds[i].Load() + 3; rounds[i].Load() < last; {
				<-round
			}
		}
	}
	for _, step := range []func() error{
		func() error { return authority.Renew(dir, cfg) },
		func() error { return authority.Replace(dir, cfg) },
		func() error { return authority.Renew(dir, cfg) },
		func() error { return authority.Forget(dir) },
	} {
		some()
		if err := step(); err != nil {
			t.Error(err)
		}
	}
	some()
	stop()
	wg.Wait()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "weir_tls_reloads_total" && f.GetMetric()[0].GetCounter().GetValue() < 4 {
			t.Errorf("the server has taken up %v", f)
		}
	}
}

func TestBadCertificatesAreAnErrorAtStart(t *testing.T) {
	t.Parallel()
	cfg := rpc.DefaultConfig()
	cfg.Listen, cfg.TLSCert, cfg.TLSKey = "127.0.0.1:0", "nowhere.crt", "nowhere.key"
	if _, err := rpc.NewServer(cfg, rpc.Deps{}); crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "nowhere.crt") {
		t.Errorf("got %v", err)
	}
}
