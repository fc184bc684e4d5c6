package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
)

// load reads flags, file and environment as a command does.
func load(t *testing.T, mode Mode, file string, environ []string, flags ...string) (*Settings, error) {
	t.Helper()
	s := New(mode)
	if file != "" {
		path := filepath.Join(t.TempDir(), "weir.yaml")
		if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, "WEIR_CONFIG="+path)
	}
	given := map[string]bool{}
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		given[name] = true
		if err := s.FlagSet().Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return s, s.Load(environ, func(name string) bool { return given[name] })
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = "nats: {url: nats://file, replicas: 3}\nstorage: {address: file:1, batch: 5}\ndata: /file\n"
	s, err := load(t, Fetcher, file, []string{"WEIR_NATS_URL=nats://env", "WEIR_DATA=/env", "WEIR_SERVER=x", "HOME=/"}, "nats=nats://flag")
	if err != nil {
		t.Fatal(err)
	}
	if s.Bus.URL != "nats://flag" || s.Bus.Replicas != 3 || s.StorageAddr != "file:1" || s.Storage.Batch != 5 || s.Data != "/env" {
		t.Errorf("url %s, replicas %d, storage %s, batch %d, data %s", s.Bus.URL, s.Bus.Replicas, s.StorageAddr, s.Storage.Batch, s.Data)
	}
}

// The networks of the environment replace those of the file: what an operator takes
// away must be gone.
func TestNetworksAreReplaced(t *testing.T) {
	t.Parallel()
	s, err := load(t, Fetcher, "fetcher: {allow-net: 10.0.0.0/8}\n", []string{"WEIR_FETCHER_ALLOW_NET=127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Fetcher.AllowNets.String(); got != "127.0.0.0/8" {
		t.Errorf("networks are %s", got)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file    string
		environ []string
		want    string
	}{
		"file":        {"natz: {url: x}", nil, "natz"},
		"environment": {"", []string{"WEIR_NATZ=x"}, "WEIR_NATZ"},
		"value":       {"", []string{"WEIR_ALLOW_NET=loopback"}, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, Up, tt.file, tt.environ)
			if crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
		})
	}
}

// Secrets have our prefix and are no settings.
func TestSecretsInTheEnvironment(t *testing.T) {
	t.Parallel()
	if _, err := load(t, Up, "", []string{"WEIR_SECRET_SHOP=x", "WEIR_SECRET_A_1="}); err != nil {
		t.Error(err)
	}
	if _, err := load(t, Up, "", []string{"WEIR_SECRET_=x"}); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("a name that no secret has: %v", err)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for mode, partitions := range map[Mode]uint{Crawl: 1, Up: 1, Scheduler: 64, Storage: 64, Fetcher: 64, Parser: 64} {
		s, err := load(t, mode, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.SetData("/d")
		if err := s.Validate(); err != nil {
			t.Errorf("%s: the defaults are not valid: %v", mode, err)
		}
		if s.Scheduler.Partitions != partitions || s.Scheduler.Dir != "/d/frontier" || s.Storage.Dir != "/d" {
			t.Errorf("%s: %+v", mode, s.Scheduler)
		}
	}
	s := New(Scheduler)
	if err := s.Validate(); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("a scheduler without a directory: %v", err)
	}
}

func TestManyFetchers(t *testing.T) {
	t.Parallel()
	s, err := load(t, Fetcher, "", nil, "fetchers=20000")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil || s.Fetcher.IdleConns != 40000 {
		t.Errorf("%v, %d idle connections", err, s.Fetcher.IdleConns)
	}
}
