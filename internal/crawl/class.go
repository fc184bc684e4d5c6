package crawl

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

	classCount
)

// rule is what the scheduler does about a class.
type rule struct {
	name          string
	retry, snooze bool
}

// ruleOf holds the whole policy in one place, so that it can be read as a table.
func ruleOf(c Class) rule {
	rules := [classCount]rule{
		ClassNone: {name: "none"},
		// The answer of the name's own servers is final for this crawl; the host's
		// other URLs would get the same one, so they wait.
		ClassDNSNXDomain:       {name: "dns_nxdomain", snooze: true},
		ClassDNSTemporary:      {name: "dns_temporary", retry: true, snooze: true},
		ClassConnectRefused:    {name: "connect_refused", retry: true, snooze: true},
		ClassConnectTimeout:    {name: "connect_timeout", retry: true, snooze: true},
		ClassTLS:               {name: "tls", retry: true, snooze: true},
		ClassReset:             {name: "reset", retry: true},
		ClassTimeoutHeaders:    {name: "timeout_headers", retry: true},
		ClassTimeoutBody:       {name: "timeout_body", retry: true},
		ClassTooLarge:          {name: "too_large"},
		ClassBadResponse:       {name: "bad_response"},
		ClassRedirectLoop:      {name: "redirect_loop"},
		ClassAddressDenied:     {name: "address_denied"},
		ClassRobotsUnreachable: {name: "robots_unreachable"},
		ClassStatus429:         {name: "status_429", retry: true, snooze: true},
		ClassStatus4xx:         {name: "status_4xx"},
		ClassStatus5xx:         {name: "status_5xx", retry: true},
		ClassDeadLetter:        {name: "dead_letter"},
		ClassOther:             {name: "other", retry: true},
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

// BurnsAttempt reports whether the attempt counts against the URL's retries. Only
// 429 does not: the host asked us to wait and said nothing about the URL. Callers
// must bound such waits by other means.
func (c Class) BurnsAttempt() bool { return c != ClassNone && c != ClassStatus429 }

// SnoozesHost reports whether the failure is the host's rather than the URL's, so
// that its whole queue should wait. A 503 with Retry-After is up to the caller.
func (c Class) SnoozesHost() bool { return ruleOf(c).snooze }

// String returns the name used in metrics and summaries: "dns_nxdomain".
func (c Class) String() string { return ruleOf(c).name }
