package due_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/due"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestTimes: partitions are read when they may have something, and a bound that
// turns out to be too low is corrected.
func TestTimes(t *testing.T) {
	t.Parallel()
	truth := map[uint32]uint64{0: 1000, 1: 2000, 2: 3000, 3: due.None}
	d := due.NewTimes()
	for p := range uint32(4) {
		if _, err := d.Hold(p, func() (uint64, error) { return truth[p], nil }); err != nil {
			t.Fatal(err)
		}
	}
	var asked int
	read := func(now uint64) time.Time {
		t.Helper()
		asked = 0
		next, err := d.Read(time.UnixMilli(int64(now)), func(p uint32) (uint64, error) {
			asked++
			if truth[p] <= now {
				truth[p] += 10_000
			}
			return truth[p], nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	want := func(next time.Time, ms int64, reads int) {
		t.Helper()
		if !next.Equal(time.UnixMilli(ms)) || asked != reads {
			t.Fatalf("next is %d after %d reads, want %d after %d", next.UnixMilli(), asked, ms, reads)
		}
	}
	want(read(500), 1000, 0)
	want(read(1500), 2000, 1)
	truth[1], truth[2] = 50_000, 50_000 // deleted: the bounds are too low now
	want(read(1800), 2000, 0)
	want(read(2000), 3000, 1) // partition 1, which has nothing
	want(read(3000), 11_000, 1)
	d.Wrote([]frontier.DueRow{{Ref: frontier.Ref{Partition: 3}, At: time.UnixMilli(5000)}, {Ref: frontier.Ref{Partition: 9}, At: time.UnixMilli(1)}})
	want(read(3500), 5000, 0)
	d.Drop(3)
	want(read(3500), 11_000, 0)
	broken := errors.New("broken")
	if _, err := d.Read(time.UnixMilli(20_000), func(uint32) (uint64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}
