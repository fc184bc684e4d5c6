package natstest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/testkit/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What was acked before a stop of either kind is there afterwards, for clients
// inside and outside the process, over connections that survive.
func TestAckedMessagesSurvive(t *testing.T) {
	t.Parallel()
	for name, outside := range map[string]bool{"in process": false, "over TCP": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			opts := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(1e7)}
			if !outside {
				opts = append(opts, nats.InProcessServer(s.InProcess()))
			}
			nc, err := nats.Connect(s.URL(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
			for round := range uint64(3) {
				for range 100 {
					if _, err := js.Publish(t.Context(), "s", []byte("x")); err != nil {
						t.Fatal(err)
					}
				}
				back := nc.StatusChanged(nats.CONNECTED)
				if round%2 == 0 {
					s.Kill()
				}
				s.Restart()
				<-back
				st, err := js.Stream(t.Context(), "S")
				if err != nil {
					t.Fatal(err)
				}
				if n := st.CachedInfo().State.Msgs; n != 100*(round+1) {
					t.Errorf("round %d: %d messages", round, n)
				}
			}
		})
	}
}
