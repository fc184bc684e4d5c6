package secret_test

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/secret"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"nats://127.0.0.1:4222", "nats://127.0.0.1:4222"},
		{"nats://user:hunter2@127.0.0.1:4222", "nats://127.0.0.1:4222"},
		{"nats://hunter2@127.0.0.1:4222", "nats://127.0.0.1:4222"}, // a token
		{"nats://a:hunter2@one:4222,tls://b:hunter2@two:4222", "nats://one:4222,tls://two:4222"},
		{"user:hunter2@one:4222", "one:4222"},
		{"postgres://weir:hunter2@db/weir?sslmode=disable&password=hunter2", "postgres://db/weir"},
		{"postgres://weir:hun%zzter2@db/weir", "postgres://…"},
		{"postgres://weir:hun/ter2@db/weir", "postgres://…"},
		{"postgres://weir:hun@ter2@db/weir", "postgres://…"},
		{"nats://user:12,ter2@db:4222", "nats://…"},
		{"nats://", "nats://"},
		{"host=db user=weir password=hunter2", "…"},
		{"s3://bucket/prefix", "s3://bucket/prefix"},
		{"127.0.0.1:7071", "127.0.0.1:7071"},
	} {
		got := secret.Address(tc.in)
		if got != tc.want || strings.Contains(got, "ter2") {
			t.Errorf("%s: %q, want %q", tc.in, got, tc.want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("hunter2", "db:5432/x?y=z")
	f.Add("hun/ter2", "db")
	f.Add("a@b", "db")
	f.Add(":#", "db")
	f.Fuzz(func(t *testing.T, password, host string) {
		const mark = "q7XkQ2"
		if strings.Contains(host, mark) {
			return
		}
		if got := secret.Address("postgres://user:" + mark + password + "@" + host); strings.Contains(got, mark) {
			t.Errorf("%q", got)
		}
	})
}
