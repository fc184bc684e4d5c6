package access

import (
	"math"
	"sync"
	"time"
)

// Quotas bound what a caller uses; 0 is no bound.
type Quotas struct {
	// CrawlsRunning is how many crawls of the caller may be unfinished at once, and
	// CrawlsPerDay how many it may create in 24 hours. The scheduler counts them, all
	// replicas together.
	CrawlsRunning uint64 `yaml:"crawls-running" json:"crawls_running,omitempty"`
	CrawlsPerDay  uint64 `yaml:"crawls-per-day" json:"crawls_per_day,omitempty"`
	// URLsPerMinute is how many URLs it may add, those of seeds included, and
	// RequestsPerSecond how many calls it may make. Each server counts for itself.
	URLsPerMinute     uint64 `yaml:"urls-per-minute" json:"urls_per_minute,omitempty"`
	RequestsPerSecond uint64 `yaml:"requests-per-second" json:"requests_per_second,omitempty"`
	// PagesPerCrawl is the highest limits.pages of a spec, which must then have one.
	PagesPerCrawl uint64 `yaml:"pages-per-crawl" json:"pages_per_crawl,omitempty"`
	// Weight is the highest weight of a crawl.
	Weight uint64 `yaml:"weight" json:"weight,omitempty"`
}

// over returns the quotas q with those of base where q has none.
func (q Quotas) over(base Quotas) Quotas {
	pick := func(v *uint64, def uint64) {
		if *v == 0 {
			*v = def
		}
	}
	pick(&q.CrawlsRunning, base.CrawlsRunning)
	pick(&q.CrawlsPerDay, base.CrawlsPerDay)
	pick(&q.URLsPerMinute, base.URLsPerMinute)
	pick(&q.RequestsPerSecond, base.RequestsPerSecond)
	pick(&q.PagesPerCrawl, base.PagesPerCrawl)
	pick(&q.Weight, base.Weight)
	return q
}

// bucket is filled at a rate up to a burst. What is taken may be more than it has once it
// is full: a batch larger than the burst passes, and the next one waits the longer.
type bucket struct {
	level float64
	at    time.Time
}

// take takes n, or says how long to wait.
func (b *bucket) take(now time.Time, rate, burst, n float64) (wait time.Duration, ok bool) {
	if b.at.IsZero() {
		b.level, b.at = burst, now
	}
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.level, b.at = math.Min(burst, b.level+d*rate), now
	}
	if need := math.Min(n, burst); b.level < need {
		return time.Duration(math.Ceil((need - b.level) / rate * float64(time.Second))), false
	}
	b.level -= n
	return 0, true
}

// maxAccounts bounds the callers that are remembered. Tokens are fewer; users of an
// issuer may be more, and the one that was idle longest is then forgotten.
const maxAccounts = 10_000

// account is what a caller has used.
type account struct {
	requests, urls bucket
	used           time.Time
}

// meter counts what callers use. It is safe for concurrent use.
type meter struct {
	mu       sync.Mutex
	accounts map[string]*account
	most     int
}

func newMeter(most int) *meter { return &meter{accounts: map[string]*account{}, most: most} }

// request counts a call, or says how long to wait.
func (m *meter) request(now time.Time, c Caller) (time.Duration, bool) {
	rate := float64(c.Quotas.RequestsPerSecond)
	if rate == 0 {
		return 0, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.account(now, c.Name).requests.take(now, rate, rate, 1)
}

// urls counts URLs that are added, or says how long to wait.
func (m *meter) urls(now time.Time, c Caller, n int) (time.Duration, bool) {
	perMinute := float64(c.Quotas.URLsPerMinute)
	if perMinute == 0 || n == 0 {
		return 0, true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.account(now, c.Name).urls.take(now, perMinute/60, perMinute, float64(n))
}

// account returns a caller's account.
func (m *meter) account(now time.Time, name string) *account {
	a := m.accounts[name]
	if a == nil {
		if len(m.accounts) >= m.most {
			m.forget()
		}
		a = &account{}
		m.accounts[name] = a
	}
	a.used = now
	return a
}

// forget forgets the account that was idle longest.
func (m *meter) forget() {
	var oldest string
	var at time.Time
	for name, a := range m.accounts {
		if at.IsZero() || a.used.Before(at) {
			oldest, at = name, a.used
		}
	}
	delete(m.accounts, oldest)
}

// Owned is a crawl of a caller.
type Owned struct {
	// Created is when.
	Created time.Time
	// Over: it is in a final state.
	Over bool
}

// AdmitCrawl says whether a caller who owns these crawls may create another: nil, or an
// error with the code RESOURCE_EXHAUSTED that says when.
func (c Caller) AdmitCrawl(now time.Time, owned []Owned) error {
	const day = 24 * time.Hour
	var running, today uint64
	first := now
	for _, o := range owned {
		if !o.Over {
			running++
		}
		if now.Sub(o.Created) < day {
			today++
			if o.Created.Before(first) {
				first = o.Created
			}
		}
	}
	q := c.Quotas
	switch {
	case q.CrawlsRunning > 0 && running >= q.CrawlsRunning:
		return exhausted(0, "%s has %d crawls that have not ended, and may have %d: wait for one, or close or cancel it", c.Name, running, q.CrawlsRunning)
	case q.CrawlsPerDay > 0 && today >= q.CrawlsPerDay:
		wait := first.Add(day).Sub(now)
		return exhausted(wait, "%s has created %d crawls in 24 hours, and may create %d: come again in %s", c.Name, today, q.CrawlsPerDay, wait.Round(time.Second))
	}
	return nil
}
