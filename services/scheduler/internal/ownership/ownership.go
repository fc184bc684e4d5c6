package ownership

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config of a View.
type Config struct {
	// Replica is the own name, unique among the living.
	Replica string
	// Partitions to share out.
	Partitions uint32
	// TTL is how long a key lives after it was written, Renew the time between two
	// writes of it.
	TTL, Renew time.Duration
	// Margin is how much before the end of TTL a lease counts as over, for clocks
	// that do not run alike and for what is on its way.
	Margin time.Duration
	// Settle is how long a new replica looks before it claims anything, so that
	// replicas that start together share out the partitions at once.
	Settle time.Duration
	// Parallel is how many partitions are taken at a time.
	Parallel int
}

// DefaultConfig returns the times that belong to a TTL.
func DefaultConfig(replica string, partitions uint32, ttl time.Duration) Config {
	return Config{
		Replica: replica, Partitions: partitions,
		TTL: ttl, Renew: ttl / 3, Margin: ttl / 4, Settle: ttl / 12, Parallel: 8,
	}
}

// Validate reports what cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Replica == "" {
		errs = append(errs, errors.New("ownership: the replica has no name"))
	}
	if c.Renew <= 0 || c.Margin <= 0 || c.Renew+c.Margin >= c.TTL {
		errs = append(errs, fmt.Errorf("ownership: ttl %s must be more than renew %s and margin %s together", c.TTL, c.Renew, c.Margin))
	}
	if c.Parallel < 1 {
		errs = append(errs, fmt.Errorf("ownership: parallel is %d, want at least 1", c.Parallel))
	}
	return errors.Join(errs...)
}

// Kind says what an Action is.
type Kind uint8

// Kinds of actions.
const (
	// Take a partition: claim its key, then take it up. Answer with Claimed, or with
	// NotClaimed, and after Claimed with Taken.
	Take Kind = iota + 1
	// Give a partition away and delete its key. Answer with Given.
	Give
	// Renew the key of a partition. Answer with Renewed or Lost, or with neither
	// when it is not known what became of it.
	Renew
	// RenewMember renews the replica's own key; there is no answer.
	RenewMember
)

// String returns the name of the kind.
func (k Kind) String() string {
	names := [...]string{"nothing", "take", "give", "renew", "renew member"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Action is something to be done now. Actions may be done side by side.
type Action struct {
	Kind Kind
	// Partition, but for RenewMember.
	Partition uint32
}

// stage is where a partition stands with this replica.
type stage uint8

const (
	away     stage = iota // not ours
	claiming              // asked for
	taking                // key ours, not yet taken up
	held
	giving
)

// part is what is known of one partition.
type part struct {
	stage   stage
	owner   string    // as last seen, "" for nobody
	target  string    // who it is assigned to
	renewed time.Time // when the last write that succeeded was sent
	asked   time.Time // when the last renewal was asked for
	retryAt time.Time // no claim before
}

// View is what one replica knows and does. It is not safe for concurrent use.
type View struct {
	cfg     Config
	began   time.Time
	members map[string]struct{}
	parts   []part
	stale   bool // targets are to be computed anew
	leaving bool
	// moving is the partition given away that nobody has been seen to take, movedAt
	// when it was freed; none when moving is negative.
	moving  int64
	movedAt time.Time
	member  time.Time // when the last renewal of the own key was asked for
}

// New returns a view that knows nobody but itself.
func New(cfg Config, now time.Time) (*View, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &View{
		cfg: cfg, began: now, stale: true, moving: -1,
		members: map[string]struct{}{cfg.Replica: {}},
		parts:   make([]part, cfg.Partitions),
	}, nil
}

// SeeMember notes that a replica is alive or gone. The own key makes no difference:
// whether this replica lives is known here best.
func (v *View) SeeMember(replica string, alive bool) {
	if replica == v.cfg.Replica {
		return
	}
	if _, known := v.members[replica]; known == alive {
		return
	}
	v.stale = true
	if alive {
		v.members[replica] = struct{}{}
		return
	}
	delete(v.members, replica)
}

// SeeOwner notes who a partition's key names, "" for nobody. News may be old: when
// they speak against what is ours, Next has the key renewed at once, which tells.
func (v *View) SeeOwner(p uint32, owner string) {
	if p >= v.cfg.Partitions {
		return
	}
	pt := &v.parts[p]
	switch {
	case pt.stage == giving && owner != v.cfg.Replica:
		pt.owner = owner // it was freed, and may have been taken, before we heard of it
		return
	case v.ours(pt):
		if owner != v.cfg.Replica {
			pt.asked = time.Time{}
		}
		return
	}
	if owner == v.cfg.Replica {
		owner = "" // our own, of a moment ago or of a life before: a claim tells
	}
	pt.owner = owner
}

// Leave makes Next give everything away and claim nothing any more.
func (v *View) Leave() { v.leaving = true }

// Claimed says that the key of p is ours since a write that was sent at that time.
func (v *View) Claimed(p uint32, sent time.Time) {
	pt := &v.parts[p]
	if pt.stage != claiming {
		return
	}
	pt.stage, pt.owner, pt.renewed, pt.asked = taking, v.cfg.Replica, sent, sent
}

// NotClaimed says that p could not be claimed: it is somebody else's, or the bus did
// not answer. It is tried again after a while if it still looks free.
func (v *View) NotClaimed(p uint32, now time.Time) {
	if pt := &v.parts[p]; pt.stage == claiming {
		pt.stage, pt.retryAt = away, now.Add(v.cfg.Renew/4)
	}
}

// Taken says that p was taken up.
func (v *View) Taken(p uint32) {
	if pt := &v.parts[p]; pt.stage == taking {
		pt.stage = held
	}
}

// Given says that the key of p was deleted.
func (v *View) Given(p uint32, now time.Time) {
	pt := &v.parts[p]
	if pt.stage != giving {
		return
	}
	pt.stage = away
	if pt.owner == v.cfg.Replica {
		pt.owner = ""
	}
	if v.moving == int64(p) {
		v.movedAt = now
	}
}

// Renewed says that a write of p's key that was sent at that time has succeeded.
func (v *View) Renewed(p uint32, sent time.Time) {
	if pt := &v.parts[p]; v.ours(pt) && sent.After(pt.renewed) {
		pt.renewed = sent
	}
}

// Lost says that p's key is not ours any more, and reports whether that is news: the
// partition must be let go of at once. One that is being given away is not news.
func (v *View) Lost(p uint32) bool {
	pt := &v.parts[p]
	if pt.stage != taking && pt.stage != held {
		return false
	}
	pt.stage = away
	return true
}

// ours reports whether the key of a partition is ours.
func (v *View) ours(pt *part) bool { return pt.stage >= taking }

// FreshUntil returns until when this replica may hand out work of its partitions;
// it is past when a renewal is missing. Without partitions it is zero.
func (v *View) FreshUntil() time.Time {
	var oldest time.Time
	for i := range v.parts {
		pt := &v.parts[i]
		if pt.stage != taking && pt.stage != held {
			continue
		}
		if oldest.IsZero() || pt.renewed.Before(oldest) {
			oldest = pt.renewed
		}
	}
	if oldest.IsZero() {
		return oldest
	}
	return oldest.Add(v.cfg.TTL - v.cfg.Margin)
}

// Held returns the partitions that are taken up, in order.
func (v *View) Held() []uint32 {
	var out []uint32
	for p := range v.parts {
		if v.parts[p].stage == held {
			out = append(out, uint32(p))
		}
	}
	return out
}

// Empty reports whether no partition is ours or in hand.
func (v *View) Empty() bool {
	for i := range v.parts {
		if v.parts[i].stage != away {
			return false
		}
	}
	return true
}

// Owner returns who owns a partition as far as is known, "" for nobody.
func (v *View) Owner(p uint32) string {
	if p >= v.cfg.Partitions {
		return ""
	}
	return v.parts[p].owner
}

// Members returns the living replicas, in order, this one included.
func (v *View) Members() []string {
	out := make([]string, 0, len(v.members))
	for name := range v.members {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Settled reports whether every partition is where it belongs.
func (v *View) Settled() bool {
	v.assign()
	for i := range v.parts {
		pt := &v.parts[i]
		if pt.owner != pt.target || pt.target == v.cfg.Replica && pt.stage != held {
			return false
		}
	}
	return true
}

func (v *View) assign() {
	if !v.stale {
		return
	}
	v.stale = false
	for p, name := range Assign(v.cfg.Partitions, v.Members()) {
		v.parts[p].target = name
	}
}
