package embednats_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/embednats"
)

func TestMessagesOutliveTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		s, err := embednats.Start(embednats.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		st, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		if n := st.CachedInfo().State.Msgs; n != uint64(round) {
			t.Errorf("round %d: %d messages", round, n)
		}
		if _, err := js.Publish(t.Context(), "s", []byte("x")); err != nil {
			t.Fatal(err)
		}
		if n := s.Clients(); n != 1 {
			t.Errorf("%d clients, want 1", n)
		}
		nc.Close()
		s.Shutdown()
		s.Shutdown() // idempotent
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	if _, err := embednats.Start(embednats.Config{}); err == nil {
		t.Error("no directory: no error")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embednats.Start(embednats.Config{Dir: filepath.Join(file, "js")})
	if err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file in the way: %v", err)
	}
}
