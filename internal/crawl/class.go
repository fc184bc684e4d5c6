package crawl

import "time"

// Class says why an attempt at a URL gave no page. It is an outcome, counted and
// shown, and never an error of ours (see Kind). The numbers are those of
// crawlv1.ErrorClass, so that services convert by a plain cast.
type Class uint8

// The classes, a closed set.
const (
	// ClassNone: the attempt gave a page.
	ClassNone Class = iota
	// ClassDNSNXDomain: the name does not exist.
	ClassDNSNXDomain
	// ClassDNSTemporary: the name could not be looked up now.
	ClassDNSTemporary
	// ClassConnectRefused: the host refused the connection.
	ClassConnectRefused
	// ClassConnectTimeout: no connection within the time limit.
	ClassConnectTimeout
	// ClassTLS: the TLS handshake failed.
	ClassTLS
	// ClassReset: the connection broke during the exchange.
	ClassReset
	// ClassTimeoutHeaders: no response headers within the time limit.
	ClassTimeoutHeaders
	// ClassTimeoutBody: the body did not end within the time limit.
	ClassTimeoutBody
	// ClassTooLarge: headers beyond the limit, or a body that could not be kept.
	ClassTooLarge
	// ClassBadResponse: not an HTTP response that a browser would read.
	ClassBadResponse
	// ClassRedirectLoop: too many redirects, or a chain that leads back to itself.
	ClassRedirectLoop
	// ClassAddressDenied: the address may not be visited.
	ClassAddressDenied
	// ClassRobotsUnreachable: robots.txt could not be had for too long.
	ClassRobotsUnreachable
	// ClassStatus429: HTTP 429.
	ClassStatus429
	// ClassStatus4xx: HTTP 4xx but 429.
	ClassStatus4xx
	// ClassStatus5xx: HTTP 5xx.
	ClassStatus5xx
	// ClassDeadLetter: a stage gave the page up after several tries.
	ClassDeadLetter
	// ClassOther: anything else that can happen to an exchange.
	ClassOther
	// ClassTooSlow: the body came slower than the spec's least speed.
	ClassTooSlow
	// ClassProxy: the proxy refused, or was not reached, or could not reach the host.
	ClassProxy
	// ClassRender: the browser could not show the page.
	ClassRender

	classCount
)

// Classes is the number of classes: all are below it.
const Classes = int(classCount)

// rule is what the scheduler does about a class.
type rule struct {
	name          string
	retry, snooze bool
	tries         int     // most attempts that may end like this; 0: the spec's number
	wait          Backoff // between an attempt that ended like this and the next
}

// waits makes a schedule. The jitter is the same everywhere: URLs that failed
// together must not come back together.
func waits(base time.Duration, factor float64, most time.Duration) Backoff {
	return Backoff{Base: base, Factor: factor, Max: most, Jitter: 0.2}
}

// ruleOf holds the whole policy in one place, so that it can be read as a table.
// A crawl cannot end while a URL waits for its next attempt, so a long wait must
// be worth what it costs everybody else.
func ruleOf(c Class) rule {
	rules := [classCount]rule{
		ClassNone: {name: "none"},
		// The answer of the name's own servers is final for this crawl; a resolver in
		// trouble gives another one (dns_temporary). A check an hour later would help
		// one name in thousands and keep every crawl with a dead link open for that
		// hour: recrawl and a retry by hand are for that. The host's other URLs would
		// get the same answer, so they wait.
		ClassDNSNXDomain: {name: "dns_nxdomain", snooze: true},
		// A resolver that times out or says SERVFAIL: over in seconds when it is ours,
		// in minutes when it is the site's.
		ClassDNSTemporary: {name: "dns_temporary", retry: true, snooze: true, wait: waits(3*time.Second, 5, 5*time.Minute)},
		// A server that restarts: back in seconds.
		ClassConnectRefused: {name: "connect_refused", retry: true, snooze: true, wait: waits(2*time.Second, 4, 2*time.Minute)},
		// A packet filter or an overloaded network; each attempt costs a slot for as
		// long as the time limit, so the next ones are further apart.
		ClassConnectTimeout: {name: "connect_timeout", retry: true, snooze: true, wait: waits(3*time.Second, 4, 5*time.Minute)},
		// Nearly always a certificate that is wrong and stays so; what passes (a
		// handshake broken half way, a deployment) takes its time. One more attempt.
		ClassTLS: {name: "tls", retry: true, snooze: true, tries: 2, wait: waits(5*time.Second, 4, 10*time.Minute)},
		// An idle connection that the server closed, or a worker that died: the next
		// attempt usually meets another one.
		ClassReset: {name: "reset", retry: true, wait: waits(time.Second, 3, 2*time.Minute)},
		// A slow page stays slow for a while, and each attempt costs the site a request
		// that it could not answer.
		ClassTimeoutHeaders: {name: "timeout_headers", retry: true, wait: waits(3*time.Second, 4, 5*time.Minute)},
		ClassTimeoutBody:    {name: "timeout_body", retry: true, wait: waits(3*time.Second, 4, 5*time.Minute)},
		// The same bytes would come again.
		ClassTooLarge:     {name: "too_large"},
		ClassBadResponse:  {name: "bad_response"},
		ClassRedirectLoop: {name: "redirect_loop"},
		// Our own configuration.
		ClassAddressDenied: {name: "address_denied"},
		// The frontier has tried for as long as it wants to when it says so.
		ClassRobotsUnreachable: {name: "robots_unreachable"},
		// No schedule of its own: the whole host waits, for Retry-After or the host's
		// back-off, and the URL is first when that is over.
		ClassStatus429: {name: "status_429", retry: true, snooze: true},
		// Final but for the statuses of RetryStatus: 408 is a connection that was slow
		// to ask, 425 one that asked too early. Both pass at once.
		ClassStatus4xx: {name: "status_4xx", wait: waits(2*time.Second, 2, time.Minute)},
		// A worker that died or a deployment is over in seconds, an error in the page's
		// program stays: the first attempt is soon, for the one, and few are many for
		// the other. 503 with Retry-After snoozes the host.
		ClassStatus5xx: {name: "status_5xx", retry: true, wait: waits(2*time.Second, 4, 10*time.Minute)},
		// A page that broke a stage of ours would break it again.
		ClassDeadLetter: {name: "dead_letter"},
		ClassOther:      {name: "other", retry: true, wait: waits(3*time.Second, 4, 5*time.Minute)},
		// As a body that does not end in time, noticed sooner.
		ClassTooSlow: {name: "too_slow", retry: true, wait: waits(3*time.Second, 4, 5*time.Minute)},
		// The site has done nothing; the fetchers take another proxy where there is one.
		ClassProxy: {name: "proxy", retry: true, wait: waits(2*time.Second, 4, 2*time.Minute)},
		// A browser that crashed is there again in a second; a page that breaks every
		// browser stops counting at the spec's retries.
		ClassRender: {name: "render", retry: true, wait: waits(2*time.Second, 4, 2*time.Minute)},
	}
	if c >= classCount {
		c = ClassOther
	}
	return rules[c]
}

// ClassOfStatus returns the class of a response by its status: ClassNone below
// 400 (redirects are outcomes of their own), ClassBadResponse outside 100–599.
func ClassOfStatus(status int) Class {
	switch {
	case status == 429:
		return ClassStatus429
	case status < 100 || status > 599:
		return ClassBadResponse
	case status >= 500:
		return ClassStatus5xx
	case status >= 400:
		return ClassStatus4xx
	}
	return ClassNone
}

// RetryStatus reports whether a response with that status may be another one
// later: 408, 425, 429 and 5xx. It is finer than Class.Retry, which knows all
// 4xx but 429 as one class that is final.
func RetryStatus(status int) bool {
	return status == 408 || status == 425 || ClassOfStatus(status).Retry()
}

// Retry reports whether another attempt may pass. ClassStatus4xx says no; ask
// RetryStatus where the status is known. Numbers that this version does not know
// are treated as ClassOther.
func (c Class) Retry() bool { return ruleOf(c).retry }

// Backoff returns the schedule between the attempts at a URL after one that ended
// like this, counted by the attempts that burned. It is the zero value, no wait,
// for what is never tried again and for 429, where the host's wait is the URL's.
// For ClassStatus4xx it is that of the statuses that RetryStatus names.
func (c Class) Backoff() Backoff { return ruleOf(c).wait }

// Tries bounds the attempts at a URL when the last one ended like this, whatever
// the spec's retries say; 0 means no bound of the class's own.
func (c Class) Tries() int { return ruleOf(c).tries }

// BurnsAttempt reports whether the attempt counts against the URL's retries. Only
// 429 does not: the host asked us to wait and said nothing about the URL. Callers
// must bound such waits by other means.
func (c Class) BurnsAttempt() bool { return c != ClassNone && c != ClassStatus429 }

// SnoozesHost reports whether the failure is the host's rather than the URL's, so
// that its whole queue should wait. A 503 with Retry-After is up to the caller.
func (c Class) SnoozesHost() bool { return ruleOf(c).snooze }

// String returns the name used in metrics and summaries: "dns_nxdomain".
func (c Class) String() string { return ruleOf(c).name }
