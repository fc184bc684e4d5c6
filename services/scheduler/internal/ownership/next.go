package ownership

import "time"

// Next returns what is to be done now, and when it is to be called again at the
// latest; call it also after every other method. It hands out each action once:
// a partition is in hand until the answer comes.
func (v *View) Next(now time.Time) (todo []Action, wake time.Time) {
	v.assign()
	wake = now.Add(v.cfg.Renew)
	soon := func(t time.Time) {
		if t.Before(wake) {
			wake = t
		}
	}
	if due := v.member.Add(v.cfg.Renew); !v.leaving && !now.Before(due) {
		v.member = now
		todo = append(todo, Action{Kind: RenewMember})
	} else if !v.leaving {
		soon(due)
	}
	for p := range v.parts {
		pt := &v.parts[p]
		if !v.ours(pt) {
			continue
		}
		// One that is being given away is renewed too: that may take a while.
		if due := pt.asked.Add(v.cfg.Renew); now.Before(due) {
			soon(due)
			continue
		}
		pt.asked = now
		todo = append(todo, Action{Kind: Renew, Partition: uint32(p)})
	}
	if v.leaving {
		return v.giveAll(todo), wake
	}
	todo, again := v.take(now, todo)
	soon(again)
	todo, again = v.move(now, todo)
	soon(again)
	return todo, wake
}

// giveAll gives away what is held; what is being taken follows when it is.
func (v *View) giveAll(todo []Action) []Action {
	for p := range v.parts {
		if pt := &v.parts[p]; pt.stage == held {
			pt.stage = giving
			todo = append(todo, Action{Kind: Give, Partition: uint32(p)})
		}
	}
	return todo
}

// take claims the free partitions that belong here.
func (v *View) take(now time.Time, todo []Action) ([]Action, time.Time) {
	wake := now.Add(v.cfg.Renew)
	if settled := v.began.Add(v.cfg.Settle); now.Before(settled) {
		return todo, settled
	}
	busy := 0
	for p := range v.parts {
		if s := v.parts[p].stage; s == claiming || s == taking {
			busy++
		}
	}
	for p := range v.parts {
		pt := &v.parts[p]
		if pt.stage != away || pt.target != v.cfg.Replica || pt.owner != "" || busy >= v.cfg.Parallel {
			continue
		}
		if now.Before(pt.retryAt) {
			if pt.retryAt.Before(wake) {
				wake = pt.retryAt
			}
			continue
		}
		pt.stage = claiming
		busy++
		todo = append(todo, Action{Kind: Take, Partition: uint32(p)})
	}
	return todo, wake
}

// move gives away one partition that belongs to another replica, unless the last
// one is still on its way.
func (v *View) move(now time.Time, todo []Action) ([]Action, time.Time) {
	wake := now.Add(v.cfg.Renew)
	if v.moving >= 0 {
		last := &v.parts[v.moving]
		if last.stage == giving {
			return todo, wake
		}
		// Whoever should take it may have died: go on after a while.
		if late := v.movedAt.Add(v.cfg.TTL); last.stage == away && last.owner == "" && now.Before(late) {
			return todo, late
		}
		v.moving = -1
	}
	for p := range v.parts {
		pt := &v.parts[p]
		if pt.stage != held || pt.target == v.cfg.Replica {
			continue
		}
		pt.stage = giving
		v.moving = int64(p)
		return append(todo, Action{Kind: Give, Partition: uint32(p)}), wake
	}
	return todo, wake
}
