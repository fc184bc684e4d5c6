package ownership

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const ttl = 6 * time.Second

func TestAssign(t *testing.T) {
	t.Parallel()
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("weir-%d", i)
		}
		return out
	}
	tests := []struct {
		name       string
		partitions uint32
		members    int
		moved      int // at most, when one more member comes
	}{
		{"one takes all", 64, 1, 32},
		{"two", 64, 2, 32},
		{"three", 64, 3, 30},
		{"more members than partitions", 4, 7, 4},
		{"many", 256, 10, 60},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			members := names(tt.members)
			got := Assign(tt.partitions, members)
			most := (int(tt.partitions) + tt.members - 1) / tt.members
			load := map[string]int{}
			for _, m := range got {
				load[m]++
			}
			for m, n := range load {
				if n > most || m == "" {
					t.Errorf("%q has %d partitions, at most %d", m, n, most)
				}
			}
			mirrored := slices.Clone(members)
			slices.Reverse(mirrored)
			if !slices.Equal(got, Assign(tt.partitions, append(mirrored, members...))) {
				t.Error("the assignment depends on the order of the members")
			}
			moved := 0
			for p, m := range Assign(tt.partitions, names(tt.members+1)) {
				if m != got[p] {
					moved++
				}
			}
			if moved > tt.moved {
				t.Errorf("%d partitions move when a member comes, at most %d", moved, tt.moved)
			}
		})
	}
	if got := Assign(2, nil); got[0] != "" || got[1] != "" {
		t.Errorf("without members: %q", got)
	}
}

// fixture is a view that has settled, alone, with two partitions.
func fixture(t *testing.T) (*View, time.Time) {
	t.Helper()
	now := time.Unix(1000, 0)
	v, err := New(DefaultConfig("a", 4, ttl), now)
	if err != nil {
		t.Fatal(err)
	}
	if got := pick(v, now, Take); len(got) != 0 {
		t.Fatalf("takes %v before it has looked", got)
	}
	now = now.Add(time.Second)
	for _, p := range pick(v, now, Take) {
		v.Claimed(p, now)
		v.Taken(p)
	}
	if got := v.Held(); len(got) != 4 || !v.Settled() {
		t.Fatalf("holds %v", got)
	}
	return v, now
}

// pick returns the partitions of the actions of a kind.
func pick(v *View, now time.Time, k Kind) []uint32 {
	var out []uint32
	todo, _ := v.Next(now)
	for _, a := range todo {
		if a.Kind == k {
			out = append(out, a.Partition)
		}
	}
	return out
}

func TestMovesOneAtATime(t *testing.T) {
	t.Parallel()
	v, now := fixture(t)
	v.SeeMember("b", true)
	first := pick(v, now, Give)
	if len(first) != 1 {
		t.Fatalf("gives %v, want one partition", first)
	}
	if got := pick(v, now.Add(ttl), Give); len(got) != 0 {
		t.Fatalf("gives %v while the first is in hand", got)
	}
	v.Given(first[0], now)
	if got := pick(v, now, Give); len(got) != 0 {
		t.Fatalf("gives %v before anybody has taken the first", got)
	}
	v.SeeOwner(first[0], "b")
	second := pick(v, now, Give)
	if len(second) != 1 {
		t.Fatalf("gives %v, want one more", second)
	}
	v.SeeOwner(second[0], "b") // news may be faster than answers
	v.Given(second[0], now)
	if got := pick(v, now, Give); len(got) != 0 || !v.Settled() {
		t.Fatalf("gives %v of its own share", got)
	}
	v.SeeMember("b", false)
	v.SeeOwner(first[0], "")
	v.SeeOwner(second[0], "")
	if got := pick(v, now, Take); len(got) != 2 {
		t.Fatalf("takes %v of a replica that is gone, want both", got)
	}
}

func TestMoveThatNobodyTakes(t *testing.T) {
	t.Parallel()
	v, now := fixture(t)
	v.SeeMember("b", true)
	first := pick(v, now, Give)
	v.Given(first[0], now)
	if got := pick(v, now.Add(ttl), Give); len(got) != 1 || got[0] == first[0] {
		t.Fatalf("gives %v after a while, want another one", got)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	v, now := fixture(t)
	good := ttl - ttl/4
	if got := v.FreshUntil(); !got.Equal(now.Add(good)) {
		t.Fatalf("fresh until %s", got)
	}
	renewals := pick(v, now.Add(2*time.Second), Renew)
	if len(renewals) != 4 {
		t.Fatalf("renews %v", renewals)
	}
	for _, p := range renewals[1:] {
		v.Renewed(p, now.Add(2*time.Second))
	}
	if got := v.FreshUntil(); !got.Equal(now.Add(good)) {
		t.Fatalf("fresh until %s although one was not renewed", got)
	}
	v.Renewed(renewals[0], now.Add(2*time.Second))
	v.Renewed(renewals[0], now.Add(time.Second)) // an answer that was late
	if got := v.FreshUntil(); !got.Equal(now.Add(2*time.Second + good)) {
		t.Fatalf("fresh until %s", got)
	}
	if !v.Lost(2) || v.Lost(2) {
		t.Error("a loss is news once")
	}
	if got := pick(v, now.Add(3*time.Second), Renew); len(got) != 0 {
		t.Errorf("renews %v too soon", got)
	}
	v.SeeOwner(1, "b")
	v.SeeOwner(0, "a")
	if got := pick(v, now.Add(3*time.Second), Renew); !slices.Equal(got, []uint32{1}) {
		t.Errorf("renews %v after news that 1 is somebody else's", got)
	}
	v.SeeOwner(2, "b")
	if v.Owner(2) != "b" || v.Owner(99) != "" {
		t.Error("the owner is not known")
	}
}

func TestLeave(t *testing.T) {
	t.Parallel()
	v, now := fixture(t)
	v.Lost(0)
	v.SeeOwner(0, "")
	claims := pick(v, now, Take)
	if len(claims) != 1 {
		t.Fatalf("claims %v", claims)
	}
	v.Leave()
	if got := pick(v, now, Give); len(got) != 3 {
		t.Fatalf("gives %v, want all that is held", got)
	}
	v.Claimed(0, now)
	if v.Empty() {
		t.Fatal("empty while a partition is being taken")
	}
	v.Taken(0)
	if got := pick(v, now, Give); !slices.Equal(got, claims) {
		t.Fatalf("gives %v, want what was being taken", got)
	}
	for p := range uint32(4) {
		v.Given(p, now)
	}
	if got := pick(v, now.Add(ttl), Take); len(got) != 0 || !v.Empty() {
		t.Fatalf("takes %v after it has left", got)
	}
}

func TestFailedClaimWaits(t *testing.T) {
	t.Parallel()
	v, now := fixture(t)
	v.Lost(3)
	v.SeeOwner(3, "")
	if got := pick(v, now, Take); !slices.Equal(got, []uint32{3}) {
		t.Fatalf("takes %v", got)
	}
	v.NotClaimed(3, now)
	if got := pick(v, now, Take); len(got) != 0 {
		t.Fatalf("takes %v at once again", got)
	}
	todo, wake := v.Next(now)
	if len(todo) != 0 || wake.After(now.Add(ttl/12)) {
		t.Fatalf("looks again %s later", wake.Sub(now))
	}
	if got := pick(v, now.Add(time.Second), Take); !slices.Equal(got, []uint32{3}) {
		t.Fatalf("takes %v later", got)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no name":    DefaultConfig("", 1, ttl),
		"no ttl":     DefaultConfig("a", 1, 0),
		"slow renew": {Replica: "a", TTL: ttl, Renew: ttl, Margin: 1, Parallel: 1},
		"no hands":   {Replica: "a", TTL: ttl, Renew: 1, Margin: 1},
	} {
		if _, err := New(c, time.Now()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
