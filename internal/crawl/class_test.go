package crawl

import (
	"testing"
	"time"
)

func TestClasses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		class                 Class
		number                uint8
		name                  string
		retry, burns, snoozes bool
	}{
		{ClassNone, 0, "none", false, false, false},
		{ClassDNSNXDomain, 1, "dns_nxdomain", false, true, true},
		{ClassDNSTemporary, 2, "dns_temporary", true, true, true},
		{ClassConnectRefused, 3, "connect_refused", true, true, true},
		{ClassConnectTimeout, 4, "connect_timeout", true, true, true},
		{ClassTLS, 5, "tls", true, true, true},
		{ClassReset, 6, "reset", true, true, false},
		{ClassTimeoutHeaders, 7, "timeout_headers", true, true, false},
		{ClassTimeoutBody, 8, "timeout_body", true, true, false},
		{ClassTooLarge, 9, "too_large", false, true, false},
		{ClassBadResponse, 10, "bad_response", false, true, false},
		{ClassRedirectLoop, 11, "redirect_loop", false, true, false},
		{ClassAddressDenied, 12, "address_denied", false, true, false},
		{ClassRobotsUnreachable, 13, "robots_unreachable", false, true, false},
		{ClassStatus429, 14, "status_429", true, false, true},
		{ClassStatus4xx, 15, "status_4xx", false, true, false},
		{ClassStatus5xx, 16, "status_5xx", true, true, false},
		{ClassDeadLetter, 17, "dead_letter", false, true, false},
		{ClassOther, 18, "other", true, true, false},
		{ClassTooSlow, 19, "too_slow", true, true, false},
		{ClassProxy, 20, "proxy", true, true, false},
		{ClassRender, 21, "render", true, true, false},
		{Class(200), 200, "other", true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := tt.class
			if uint8(c) != tt.number || c.String() != tt.name {
				t.Errorf("class %d %q, want %d %q", c, c, tt.number, tt.name)
			}
			if c.Retry() != tt.retry || c.BurnsAttempt() != tt.burns || c.SnoozesHost() != tt.snoozes {
				t.Errorf("%s: retry %v, burns %v, snoozes %v, want %v, %v, %v",
					c, c.Retry(), c.BurnsAttempt(), c.SnoozesHost(), tt.retry, tt.burns, tt.snoozes)
			}
		})
	}
	if int(classCount) != len(tests)-1 {
		t.Errorf("%d classes, %d tested", classCount, len(tests)-1)
	}
}

func TestClassOfStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		want   Class
		retry  bool
	}{
		{200, ClassNone, false}, {204, ClassNone, false}, {301, ClassNone, false}, {304, ClassNone, false}, {100, ClassNone, false},
		{400, ClassStatus4xx, false}, {404, ClassStatus4xx, false}, {410, ClassStatus4xx, false}, {499, ClassStatus4xx, false},
		{408, ClassStatus4xx, true}, {425, ClassStatus4xx, true}, {429, ClassStatus429, true},
		{500, ClassStatus5xx, true}, {503, ClassStatus5xx, true}, {599, ClassStatus5xx, true},
		{0, ClassBadResponse, false}, {99, ClassBadResponse, false}, {600, ClassBadResponse, false}, {999, ClassBadResponse, false}, {-1, ClassBadResponse, false},
	}
	for _, tt := range tests {
		if got := ClassOfStatus(tt.status); got != tt.want || RetryStatus(tt.status) != tt.retry {
			t.Errorf("status %d: %s, retry %v, want %s, %v", tt.status, got, RetryStatus(tt.status), tt.want, tt.retry)
		}
	}
}

// TestSchedules writes the waits out, as somebody who waits for a crawl sees them.
func TestSchedules(t *testing.T) {
	t.Parallel()
	const s, m = time.Second, time.Minute
	tests := []struct {
		class Class
		tries int
		waits [4]time.Duration // before the first, second, third and 20th retry
	}{
		{ClassNone, 0, [4]time.Duration{}},
		{ClassDNSNXDomain, 0, [4]time.Duration{}},
		{ClassDNSTemporary, 0, [4]time.Duration{3 * s, 15 * s, 75 * s, 5 * m}},
		{ClassConnectRefused, 0, [4]time.Duration{2 * s, 8 * s, 32 * s, 2 * m}},
		{ClassConnectTimeout, 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
		{ClassTLS, 2, [4]time.Duration{5 * s, 20 * s, 80 * s, 10 * m}},
		{ClassReset, 0, [4]time.Duration{s, 3 * s, 9 * s, 2 * m}},
		{ClassTimeoutHeaders, 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
		{ClassTimeoutBody, 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
		{ClassTooLarge, 0, [4]time.Duration{}},
		{ClassBadResponse, 0, [4]time.Duration{}},
		{ClassRedirectLoop, 0, [4]time.Duration{}},
		{ClassAddressDenied, 0, [4]time.Duration{}},
		{ClassRobotsUnreachable, 0, [4]time.Duration{}},
		{ClassStatus429, 0, [4]time.Duration{}},
		{ClassStatus4xx, 0, [4]time.Duration{2 * s, 4 * s, 8 * s, m}},
		{ClassStatus5xx, 0, [4]time.Duration{2 * s, 8 * s, 32 * s, 10 * m}},
		{ClassDeadLetter, 0, [4]time.Duration{}},
		{ClassOther, 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
		{ClassTooSlow, 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
		{ClassProxy, 0, [4]time.Duration{2 * s, 8 * s, 32 * s, 2 * m}},
		{ClassRender, 0, [4]time.Duration{2 * s, 8 * s, 32 * s, 2 * m}},
		{Class(200), 0, [4]time.Duration{3 * s, 12 * s, 48 * s, 5 * m}},
	}
	for _, tt := range tests {
		t.Run(tt.class.String(), func(t *testing.T) {
			t.Parallel()
			b := tt.class.Backoff()
			got := [4]time.Duration{b.Delay(1, nil), b.Delay(2, nil), b.Delay(3, nil), b.Delay(20, nil)}
			if got != tt.waits || tt.class.Tries() != tt.tries {
				t.Errorf("waits %v, tries %d, want %v, %d", got, tt.class.Tries(), tt.waits, tt.tries)
			}
			// What is tried again and holds no host must not be tried at once.
			if tt.class.Retry() && tt.class.BurnsAttempt() && (b.Base <= 0 || b.Jitter <= 0 || b.Max <= 0) {
				t.Errorf("is retried on %+v", b)
			}
		})
	}
	if int(classCount) != len(tests)-1 {
		t.Errorf("%d classes, %d tested", classCount, len(tests)-1)
	}
}
