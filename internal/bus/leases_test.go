package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
)

// view is what a watch has told.
type view struct {
	mu     sync.Mutex
	keys   map[string]string
	log    []string
	synced int
}

func watch(tb testing.TB, b *bus.Bus) *view {
	v := &view{keys: make(map[string]string)}
	background(tb, func(ctx context.Context) error {
		return b.Leases().Watch(ctx, func(key string, value []byte, present bool) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.log = append(v.log, fmt.Sprintf("%s=%s,%v", key, value, present))
			if present {
				v.keys[key] = string(value)
			} else {
				delete(v.keys, key)
			}
		}, func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.log = append(v.log, "synced")
			v.synced++
		})
	})
	return v
}

// sees waits until the keys are these, key and value by turns.
func (v *view) sees(tb testing.TB, want map[string]string) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("the keys are %v", want), func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.synced > 0 && cmp.Equal(want, v.keys)
	})
}

func (v *view) syncs() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.synced
}

func claim(tb testing.TB, b *bus.Bus, key, value string) uint64 {
	tb.Helper()
	var rev uint64
	var err error
	eventually(tb, "the server answers", func() bool {
		rev, err = b.Leases().Claim(tb.Context(), key, []byte(value))
		return crawl.KindOf(err) != crawl.Unavailable
	})
	if err != nil || rev == 0 {
		tb.Fatalf("claim %s: %d, %v", key, rev, err)
	}
	return rev
}

func TestLeases(t *testing.T) {
	t.Parallel()
	s, b := start(t, patient())
	other := s.Connect(patient())
	mine, theirs := b.Leases(), other.Leases()
	rev := claim(t, b, "p.7", "a")
	if _, err := theirs.Claim(t.Context(), "p.7", []byte("b")); !errors.Is(err, bus.ErrTaken) {
		t.Fatalf("taken: %v", err)
	}
	v := watch(t, other)
	v.sees(t, map[string]string{"p.7": "a"})
	if diff := cmp.Diff([]string{"p.7=a,true", "synced"}, v.log); diff != "" {
		t.Error(diff)
	}
	// A claim whose answer was lost is found again, and so is a renewal.
	if again, err := mine.Claim(t.Context(), "p.7", []byte("a")); again != rev || err != nil {
		t.Errorf("claimed again: %d, %v, want %d", again, err, rev)
	}
	next, err := mine.Renew(t.Context(), "p.7", []byte("a"), rev)
	if err != nil || next <= rev {
		t.Fatalf("renew: %d, %v", next, err)
	}
	if again, err := mine.Renew(t.Context(), "p.7", []byte("a"), rev); again != next || err != nil {
		t.Errorf("renewed again: %d, %v, want %d", again, err, next)
	}
	if _, err := theirs.Renew(t.Context(), "p.7", []byte("b"), next); err != nil {
		t.Errorf("who knows the revision may hand the key on: %v", err)
	}
	if _, err := mine.Renew(t.Context(), "p.7", []byte("a"), next); !errors.Is(err, bus.ErrLost) {
		t.Errorf("lost: %v", err)
	}
	if err := mine.Release(t.Context(), "p.7", next); err != nil {
		t.Errorf("release what is lost: %v", err)
	}
	v.sees(t, map[string]string{"p.7": "b"})
	rev = claim(t, b, "member.a", "x")
	v.sees(t, map[string]string{"p.7": "b", "member.a": "x"})
	if err := mine.Release(t.Context(), "member.a", rev); err != nil {
		t.Error(err)
	}
	v.sees(t, map[string]string{"p.7": "b"})
	if _, err := mine.Renew(t.Context(), "member.a", []byte("x"), rev); !errors.Is(err, bus.ErrLost) {
		t.Errorf("renew what was released: %v", err)
	}
	if got := claim(t, other, "member.a", "y"); got <= rev {
		t.Errorf("revision %d after %d", got, rev)
	}
	if _, err := mine.Claim(t.Context(), "no key", []byte("x")); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("bad key: %v", err)
	}
}

func TestOneOfManyClaims(t *testing.T) {
	t.Parallel()
	s, b := start(t, patient())
	won := make(chan int, 8)
	var wg sync.WaitGroup
	for i := range 8 {
		l := s.Connect(patient()).Leases()
		wg.Go(func() {
			_, err := l.Claim(t.Context(), "p.1", fmt.Append(nil, i))
			switch {
			case err == nil:
				won <- i
			case !errors.Is(err, bus.ErrTaken):
				t.Errorf("claim: %v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d winners", len(won))
	}
	watch(t, b).sees(t, map[string]string{"p.1": fmt.Sprint(<-won)})
}

// A key that nobody renews vanishes for watchers; one that is renewed stays.
func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	cfg := bus.EmbeddedConfig() // its LeaseTTL is longer than a machine may stand still
	s, b := start(t, cfg)
	other := s.Connect(cfg)
	v := watch(t, other)
	live := claim(t, other, "p.1", "live")
	stop := background(t, func(ctx context.Context) (err error) {
		l := other.Leases()
		tick := time.NewTicker(cfg.LeaseTTL / 5)
		defer tick.Stop()
		for err == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				next, e := l.Renew(context.WithoutCancel(ctx), "p.1", []byte("live"), live)
				switch {
				case e == nil:
					live = next
				case crawl.KindOf(e) != crawl.Unavailable: // a busy machine may be late
					err = e
				}
			}
		}
		return err
	})
	begin := time.Now()
	rev := claim(t, b, "p.0", "dead")
	v.sees(t, map[string]string{"p.0": "dead", "p.1": "live"})
	v.sees(t, map[string]string{"p.1": "live"})
	t.Logf("with a TTL of %s the key was gone after %s", cfg.LeaseTTL, time.Since(begin))
	settles(t, "a renewal after the time is refused", func() string {
		if _, err := b.Leases().Renew(t.Context(), "p.0", []byte("dead"), rev); !errors.Is(err, bus.ErrLost) {
			return fmt.Sprint(err)
		}
		return ""
	})
	claim(t, other, "p.0", "successor")
	v.sees(t, map[string]string{"p.0": "successor", "p.1": "live"})
	stop()
	v.sees(t, map[string]string{})
}

func TestWatchOfLeasesSurvivesTheServer(t *testing.T) {
	t.Parallel()
	s, b := start(t, patient())
	v := watch(t, s.Connect(patient()))
	claim(t, b, "p.0", "a")
	claim(t, b, "p.1", "a")
	v.sees(t, map[string]string{"p.0": "a", "p.1": "a"})
	before := v.syncs()
	s.Restart()
	eventually(t, "the watch has begun again", func() bool { return v.syncs() > before })
	v.sees(t, map[string]string{"p.0": "a", "p.1": "a"})

	// The disk is lost: all keys vanish, and new ones are heard of.
	s.Lose()
	s.Restart()
	eventually(t, "the topology is back", func() bool { return b.EnsureTopology(t.Context(), 1) == nil })
	eventually(t, "p.1 can be claimed", func() bool {
		_, err := b.Leases().Claim(t.Context(), "p.1", []byte("b"))
		return err == nil
	})
	v.sees(t, map[string]string{"p.1": "b"})
	v.mu.Lock()
	defer v.mu.Unlock()
	gone := 0
	for _, l := range v.log {
		if l == "p.0=,false" {
			gone++
		}
	}
	if gone != 1 {
		t.Errorf("p.0 was said to be gone %d times, want once: %q", gone, v.log)
	}
}
