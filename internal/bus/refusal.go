package bus

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/weircrawl/weir/internal/crawl"
)

// The server does not answer what its user may not publish: it says so aside, naming
// the subject. Whoever waits for an answer about that subject is told here, long before
// the time is out. It is a part of ours that is set up wrong, and no fault of the
// message: the error is of kind Unavailable, and the work waits until it is mended.

// errForbidden: the NATS user has no right to do this.
var errForbidden = errors.New("this NATS user may not do so: give it what weir topology permissions prints for its service")

// refusal is one that has not happened yet: those who wait hold it. It becomes part of a
// list whose beginning nobody keeps.
type refusal struct {
	happened chan struct{} // closed when the rest is set
	subject  string
	next     *refusal
}

// refusals hears of them.
type refusals struct {
	mu   sync.Mutex
	next *refusal
	told map[string]time.Time // by subject without its last token
}

const (
	// maxTold bounds the subjects remembered.
	maxTold = 256
	// tellAgain is after how long a refusal is logged another time.
	tellAgain = time.Minute
)

func newRefusals() *refusals {
	return &refusals{next: &refusal{happened: make(chan struct{})}, told: make(map[string]time.Time)}
}

// watch returns what comes after now.
func (r *refusals) watch() *refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// add tells all who wait, and reports whether people should be told, too.
func (r *refusals) add(subject string, now time.Time) (tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	after := &refusal{happened: make(chan struct{})}
	r.next.subject, r.next.next = subject, after
	close(r.next.happened)
	r.next = after
	family := subject[:max(strings.LastIndexByte(subject, '.'), 0)]
	if last, ok := r.told[family]; ok && now.Sub(last) < tellAgain {
		return false
	}
	if len(r.told) >= maxTold {
		clear(r.told)
	}
	r.told[family] = now
	return true
}

// refusedSubject finds the subject in the server's words.
var refusedSubject = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]+)`)

// failed is told what the server says aside.
func (b *Bus) failed(s *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		subject := ""
		if s != nil {
			subject = s.Subject
		}
		b.log.Warn("NATS reports an error", "subject", subject, "err", err)
		return
	}
	m := refusedSubject.FindStringSubmatch(err.Error())
	if m == nil {
		b.log.Error("NATS refuses", "err", err)
		return
	}
	operation, subject := strings.ToLower(m[1]), m[2]
	b.m.refused.WithLabelValues(operation).Inc()
	asking := b.asking.Load() // whoever asks goes on as soon as it is told
	if b.refusals.add(subject, time.Now()) && !asking {
		b.log.Error("NATS refuses", "operation", operation, "subject", subject, "err", errForbidden)
	}
}

// unlessRefused calls f, whose context ends with errForbidden when the server refuses a
// subject that begins so.
func (b *Bus) unlessRefused(ctx context.Context, prefix string, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	next := b.refusals.watch()
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-next.happened:
			}
			if strings.HasPrefix(next.subject, prefix) {
				cancel(crawl.Errorf(crawl.Unavailable, "%s: %w", next.subject, errForbidden))
				return
			}
			next = next.next
		}
	})
	err := f(ctx)
	close(over)
	wg.Wait()
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errForbidden) {
		err = cause
	}
	cancel(nil)
	return err
}
