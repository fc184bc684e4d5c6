package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

const (
	// longer and shorter are how an adaptive time follows a page that did not
	// change, and one that did (Nutch's AdaptiveFetchSchedule).
	longer, shorter = 1.4, 0.8
	// spread is the share of the adaptive bounds when the spec gives none.
	spread = 10
)

// revisit schedules the next visit of a URL of a crawl that visits again: of every
// one that was answered, and of one that had a page before and cannot be had now.
func (f *Frontier) revisit(v *visit, x Exchange) bool {
	r := &v.q.c.Recrawl
	if r.Every <= 0 || x.Class != crawl.ClassNone && v.item.Visit == nil {
		return false
	}
	next := Visit{}
	if v.item.Visit != nil {
		next = *v.item.Visit
	}
	if x.Class == crawl.ClassNone {
		next = after(r, next, v)
		v.rec.Attempts = 0
	}
	if next.Interval <= 0 {
		next.Interval = r.Every
	}
	v.rec.Visit = &next
	v.rec.Generation++
	f.postpone(v.q, v.ref, v.rec, f.now+tick(next.Interval))
	return true
}

// after returns what a visit that was answered leaves for the next one.
func after(r *Recrawl, was Visit, v *visit) Visit {
	next := was
	next.Visits++
	unchanged := v.Exchange.Status == 304 || v.Digest != 0 && v.Digest == was.Digest
	if v.Exchange.Status != 304 {
		next.ETag, next.LastModified, next.Digest = v.ETag, v.LastModified, v.Digest
	}
	switch {
	case !r.Adaptive || was.Visits == 0:
		next.Interval = r.Every
	case unchanged:
		next.Interval = r.clamp(time.Duration(float64(was.Interval) * longer))
	default:
		next.Interval = r.clamp(time.Duration(float64(was.Interval) * shorter))
	}
	return next
}

// clamp applies the bounds of the adaptive time.
func (r *Recrawl) clamp(d time.Duration) time.Duration {
	lo, hi := r.Min, r.Max
	if lo <= 0 {
		lo = r.Every / spread
	}
	if hi <= 0 {
		hi = r.Every * spread
	}
	return min(max(d, lo), max(lo, hi))
}
