package client

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
)

// exchange is the state of one exchange. It is the context that its dial sees.
type exchange struct {
	context.Context
	cancel context.CancelFunc
	url    weburl.URL
	opts   *Options
	acc    *budget.Account
	conns  *Conns
	proxy  *Proxy // nil for none
	chosen int    // its index
	trace  httptrace.ClientTrace
	res    Result
	meter  meter

	// A dial may go on after the exchange has found an idle connection, so what it
	// writes is atomic and separate from what the connection says.
	stage  atomic.Int32
	dialed atomic.Pointer[string]
	got    atomic.Pointer[conn]
	reused atomic.Bool
	early  atomic.Bool // the answer was there before the question
	tm     marks
}

// marks are durations, and times since the exchange began.
type marks struct {
	dns, connect, tlsStart, tls, request, firstByte atomic.Int64
}

type exchangeKey struct{}

// Value implements context.Context.
func (ex *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return ex
	}
	return ex.Context.Value(key)
}

// watch has the transport tell how far it is.
func (ex *exchange) watch() {
	ex.trace.GotConn = ex.gotConn
	ex.trace.GotFirstResponseByte = ex.gotFirstByte
	if ex.url.Scheme() == "https" {
		ex.trace.TLSHandshakeStart = ex.tlsStart
		ex.trace.TLSHandshakeDone = ex.tlsDone
	}
}

func (ex *exchange) since() int64 { return int64(time.Since(ex.res.Start)) }

func (ex *exchange) tlsStart() {
	if ex.proxy != nil && ex.proxy.URL.Scheme == "https" && ex.stage.Load() < stageTunnel {
		return // that with the proxy
	}
	ex.at(stageTLS)
	ex.tm.tlsStart.Store(ex.since())
}

func (ex *exchange) tlsDone(tls.ConnectionState, error) {
	if start := ex.tm.tlsStart.Load(); start > 0 {
		ex.tm.tls.Store(ex.since() - start)
	}
}

// gotFirstByte notes when the answer began, and whether it can be one: what a server
// says after an answer (the body of a 204, a length that is too short) waits in the
// connection, and the transport takes it for the next answer if the next request is
// quick enough.
func (ex *exchange) gotFirstByte() {
	ex.tm.firstByte.CompareAndSwap(0, ex.since())
	if c := ex.got.Load(); c != nil && ex.reused.Load() && !c.heard.Load() {
		ex.early.Store(true)
	}
}

// mayBeginAgain reports whether another connection would give another answer: this one had
// said more than its last. Whoever posts may have been heard, and does not ask twice.
func (ex *exchange) mayBeginAgain(err error) bool {
	return ex.early.Load() && ex.opts.Method != http.MethodPost && ex.Err() == nil && !isHTTP2(err.Error())
}

// timings turns the marks into the result's.
func (ex *exchange) timings() {
	t := &ex.res.Timings
	t.Reused = ex.reused.Load()
	if first := ex.tm.firstByte.Load(); first > 0 {
		t.FirstByte = time.Duration(max(0, first-ex.tm.request.Load()))
	}
	t.DNS = time.Duration(ex.tm.dns.Load())
	if t.Reused {
		return // a dial for it may have ended after all, for somebody else
	}
	t.Connect, t.TLS = time.Duration(ex.tm.connect.Load()), time.Duration(ex.tm.tls.Load())
}

func (ex *exchange) gotConn(info httptrace.GotConnInfo) {
	ex.tm.request.Store(ex.since())
	ex.reused.Store(info.Reused)
	ex.early.Store(false)
	ex.tm.firstByte.Store(0)
	if info.Reused {
		ex.conns.Reused.Add(1)
	} else {
		ex.conns.Fresh.Add(1)
	}
	nc := info.Conn
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if own, ok := nc.(*conn); ok {
		if info.Reused {
			own.rewind()
		}
		ex.got.Store(own)
	}
}

func (ex *exchange) remote() string {
	if c := ex.got.Load(); c != nil {
		return c.remote
	}
	if p := ex.dialed.Load(); p != nil {
		return *p
	}
	return ""
}

// grow takes more memory, and may wait for it, which is no fault of the site.
func (ex *exchange) grow(n int64) error {
	ex.meter.held.Store(true)
	defer ex.meter.held.Store(false)
	return ex.acc.Grow(ex, n)
}

func (ex *exchange) fail(class crawl.Class, detail string) {
	ex.res.Class, ex.res.Detail = class, oneLine(detail)
}
