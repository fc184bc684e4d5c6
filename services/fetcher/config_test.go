package fetcher_test

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/fetcher"
)

func TestDefaultConfigIsValid(t *testing.T) {
	t.Parallel()
	if err := fetcher.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	t.Parallel()
	err := (fetcher.Config{Concurrency: 1}).Validate()
	if err == nil {
		t.Fatal("the zero configuration is valid")
	}
	for _, name := range []string{"pool", "inline-limit", "dial-timeout", "tls-timeout", "idle-conns", "idle-conns-per-host",
		"idle-timeout", "dns-ttl", "dns-negative-ttl", "soft-stop", "memory must be at least"} {
		if !strings.Contains(err.Error(), "fetcher: "+name) {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}

func TestAllowNetFlag(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
		err  string
	}{
		{"none", nil, "", ""},
		{"repeated", []string{"--allow-net", "127.0.0.0/8", "--allow-net=::1/128"}, "127.0.0.0/8,::1/128", ""},
		{"list", []string{"--allow-net", "10.0.0.0/8, 192.168.1.0/24"}, "10.0.0.0/8,192.168.1.0/24", ""},
		{"address", []string{"--allow-net", "10.1.2.3"}, "10.1.2.3/32", ""},
		{"host bits", []string{"--allow-net", "10.1.2.3/8"}, "10.0.0.0/8", ""},
		{"a word", []string{"--allow-net", "loopback"}, "", `"loopback" is not a network such as 127.0.0.0/8`},
		{"too wide", []string{"--allow-net", "10.0.0.0/33"}, "", "is not a network"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := fetcher.DefaultConfig()
			fs := flag.NewFlagSet("test", flag.ContinueOnError)
			fs.SetOutput(io.Discard)
			cfg.RegisterFlags("", fs)
			err := fs.Parse(tt.args)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, cfg.AllowNets.String()); diff != "" && tt.err == "" {
				t.Error(diff)
			}
		})
	}
}
