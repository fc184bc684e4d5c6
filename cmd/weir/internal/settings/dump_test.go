package settings

import (
	"strings"
	"testing"
)

func TestDumpHasNoSecrets(t *testing.T) {
	t.Parallel()
	s := New(Scheduler)
	s.Scheduler.Store = "postgres://weir:hunter2@db:5432/weir?sslmode=require&password=hunter3"
	s.Storage.Catalogue = "host=db user=weir password='hunter 4' dbname=weir"
	s.Bus.URL = "nats://weir:hunter5@nats:4222"
	text := s.Dump()
	if strings.Contains(text, "hunter") {
		t.Errorf("a password shows:\n%s", text)
	}
	for _, want := range []string{
		"scheduler.store: postgres://weir:xxxxx@db:5432/weir?sslmode=require&password=xxxxx\n",
		"storage.catalogue: host=db user=weir password=xxxxx dbname=weir\n",
		"nats.url: nats://weir:xxxxx@nats:4222\n",
		"log.level: info\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q", want)
		}
	}
	h := s.Hash()
	s.LogLevel = "debug"
	if s.Hash() == h || len(h) != 12 {
		t.Errorf("hash %q of two configurations", h)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"x.password", "p", "(hidden)"},
		{"x.password", "", ""},
		{"nats.password-file", "/etc/p", "/etc/p"},
		{"grpc.tls-key", "/etc/tls.key", "/etc/tls.key"},
		{"storage.archive", "s3://bucket/prefix", "s3://bucket/prefix"},
		{"nats.url", "nats://a:hunter2@one:4222,nats://b:hunter2@two:4222", "nats://one:4222,nats://two:4222"},
		{"nats.url", "nats://hunter2@one:4222", "nats://one:4222"},
		{"scheduler.store", "postgres://weir:hunter2%zz@db/weir", "postgres://…"},
		{"scheduler.store", "postgres://weir:hun#ter2@db/weir", "postgres://…"},
		{"fetcher.user-agent", "bot (+https://x.example/; bot@x.example)", "bot (+https://x.example/; bot@x.example)"},
		{"storage.archive", "s3://id:key@host/bucket", "s3://id:xxxxx@host/bucket"},
	} {
		if got := redacted(tt.name, tt.value); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}
