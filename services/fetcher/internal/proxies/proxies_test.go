package proxies_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/proxies"
)

func names(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("http://proxy%d.example:3128", i))
	}
	return out
}

func fail(l *proxies.List, i, times int, now time.Time) {
	for range times {
		l.Failed(i, now)
	}
}

func TestHostsKeepToTheirProxy(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := proxies.New(names(5))
	count := make([]int, 5)
	before := make(map[string]int)
	for i := range 1000 {
		host := fmt.Sprintf("host%d.example", i)
		before[host] = l.Pick(host, now)
		count[before[host]]++
	}
	for i, n := range count {
		if n < 140 || n > 260 {
			t.Errorf("proxy %d has %d of 1000 hosts", i, n)
		}
	}
	fail(l, 2, 3, now)
	moved := make(map[int]int)
	for host, was := range before {
		is := l.Pick(host, now)
		if was != 2 && is != was {
			t.Fatalf("%s moved from %d to %d", host, was, is)
		}
		if was == 2 {
			moved[is]++
		}
	}
	if len(moved) != 4 || moved[2] > 0 {
		t.Errorf("the hosts of the proxy that is left went to %v", moved)
	}
	for host, was := range before {
		if is := l.Pick(host, now.Add(10*time.Second)); is != was {
			t.Fatalf("%s did not come back to %d but went to %d", host, was, is)
		}
	}
}

func TestRests(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	l := proxies.New(names(2))
	rests := func(after time.Duration) bool { return l.Resting(start.Add(after)) == 1 }
	fail(l, 0, 2, start)
	if rests(0) {
		t.Error("left after two failures")
	}
	l.Worked(0)
	fail(l, 0, 2, start)
	if rests(0) {
		t.Error("failures before it worked count")
	}
	fail(l, 0, 1, start)
	if !rests(9*time.Second) || rests(10*time.Second) {
		t.Error("not left for 10s after three failures")
	}
	fail(l, 0, 5, start.Add(time.Second)) // those under way
	if rests(10 * time.Second) {
		t.Error("failures while it is left made it longer")
	}
	fail(l, 0, 1, start.Add(10*time.Second))
	if !rests(29*time.Second) || rests(30*time.Second) {
		t.Error("not left for 20s after one more")
	}
	now := start
	for range 20 {
		now = now.Add(time.Hour)
		fail(l, 0, 1, now)
	}
	if l.Resting(now.Add(5*time.Minute)) != 0 || l.Resting(now.Add(5*time.Minute-1)) != 1 {
		t.Error("not left for 5m at most")
	}
}

func TestAllRest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	l := proxies.New(names(3))
	fail(l, 0, 3, now.Add(2*time.Second))
	fail(l, 1, 3, now)
	fail(l, 2, 3, now.Add(time.Second))
	for i := range 10 {
		if got := l.Pick(fmt.Sprint("host", i), now.Add(3*time.Second)); got != 1 {
			t.Errorf("picked %d", got)
		}
	}
}
