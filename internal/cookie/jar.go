package cookie

import (
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// What a crawl keeps of one site: a browser keeps more, but each of them would travel
// with tasks.
const (
	// MaxCookies bounds their number.
	MaxCookies = 64
	// MaxBytes bounds their length as encoded.
	MaxBytes = 16 << 10
)

// Jar is the cookies of one crawl and site. It is a value: Merge returns another one.
// The zero value is empty.
type Jar struct {
	cookies []Cookie // in the order in which they were last set
}

// Effect is what a merge did to a jar.
type Effect uint8

const (
	// Nothing changed.
	Nothing Effect = iota
	// Kept: other dates or another order; requests get the same as before.
	Kept
	// Changed: a cookie is new, gone or has another value.
	Changed
)

// Len returns the number of cookies.
func (j Jar) Len() int { return len(j.cookies) }

// Cookies returns those whose life is not over. The slice is the caller's.
func (j Jar) Cookies(now time.Time) []Cookie {
	var out []Cookie
	for _, c := range j.cookies {
		if !c.expired(now) {
			out = append(out, c)
		}
	}
	return out
}

// Match returns the Cookie header of a request for u; see Header.
func (j Jar) Match(u weburl.URL, now time.Time) string { return Header(j.cookies, u, now) }

// Merge returns the jar after a response from u has set cookies, in their order.
// What u's site may not set is left out, whoever let it pass. Where there are too many
// or too long ones, those go that have not been set for longest.
func (j Jar) Merge(u weburl.URL, changes []Cookie, now time.Time) (Jar, Effect) {
	if len(changes) == 0 || u.IsZero() {
		return j, Nothing
	}
	site, secure := u.Site(), u.Scheme() == "https"
	next := Jar{cookies: slices.Clone(j.cookies)}
	effect := Nothing
	for _, c := range changes {
		c.keepDates(now)
		if !c.valid() || !belowOrSame(c.Domain, site) && c.Domain != u.Host() {
			continue
		}
		if !secure && (c.Secure || next.shadowsSecure(&c)) {
			continue
		}
		effect = max(effect, next.set(c, now))
	}
	if effect == Nothing {
		return j, Nothing
	}
	next.cookies = slices.DeleteFunc(next.cookies, func(c Cookie) bool { return c.expired(now) })
	next.shrink()
	if effect == Kept && slices.Equal(next.cookies, j.cookies) {
		return j, Nothing // all of them set again, as most sites do with every page
	}
	return next, effect
}

// shadowsSecure reports whether a cookie set in the clear would stand in the way of
// one set over https (RFC 6265bis §5.7).
func (j *Jar) shadowsSecure(c *Cookie) bool {
	return slices.ContainsFunc(j.cookies, func(o Cookie) bool {
		return o.Secure && o.Name == c.Name && pathMatch(c.Path, o.Path) &&
			(belowOrSame(o.Domain, c.Domain) || belowOrSame(c.Domain, o.Domain))
	})
}

// set puts a cookie in, in place of an old one that then lends it its age, or takes
// the old one out.
func (j *Jar) set(c Cookie, now time.Time) Effect {
	i := slices.IndexFunc(j.cookies, func(o Cookie) bool { return o.same(&c) })
	if i < 0 {
		if c.expired(now) {
			return Nothing
		}
		// One after the other, so that the order of the header stays the same however
		// often they are set again.
		for _, o := range j.cookies {
			if !c.Created.After(o.Created) {
				c.Created = o.Created.Add(time.Millisecond)
			}
		}
		j.cookies = append(j.cookies, c)
		return Changed
	}
	old := j.cookies[i]
	effect := Changed
	switch {
	case c.expired(now) && old.expired(now):
		effect = Kept
	case !c.expired(now) && !old.expired(now):
		c.Created = old.Created
		if c.Value == old.Value && c.Secure == old.Secure {
			effect = Kept
		}
	}
	j.cookies = slices.Delete(j.cookies, i, i+1)
	if !c.expired(now) {
		j.cookies = append(j.cookies, c)
	}
	return effect
}

// shrink drops from the front what the bounds do not allow.
func (j *Jar) shrink() {
	size := encodedLen(j.cookies)
	n := 0
	for len(j.cookies)-n > MaxCookies || size > MaxBytes {
		size -= j.cookies[n].encodedLen()
		n++
	}
	j.cookies = slices.Delete(j.cookies, 0, n)
}

// keepDates bounds dates that came in a message as Parse does.
func (c *Cookie) keepDates(now time.Time) {
	if !c.Expires.IsZero() {
		c.Expires = bounded(c.Expires, now)
	}
	if c.Created.After(now) || c.Created.Before(time.UnixMilli(0)) {
		c.Created = now
	}
	c.Created = milliseconds(c.Created)
}
