package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

// maxDetail bounds the line that describes a failure, in bytes.
const maxDetail = 300

// classify names the failure of an exchange that has no response.
func (ex *exchange) classify(err error) (crawl.Class, string) {
	if class, detail, ok := ex.proxyClass(err); ok {
		return class, detail
	}
	if d, ok := errors.AsType[*guard.Denied](err); ok {
		return crawl.ClassAddressDenied, d.Error()
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		if d.IsNotFound {
			return crawl.ClassDNSNXDomain, fmt.Sprintf("look up %s: %s", ex.url.Host(), d.Err)
		}
		return crawl.ClassDNSTemporary, fmt.Sprintf("look up %s: %s", ex.url.Host(), d.Err)
	}
	if ex.Err() != nil {
		return ex.late()
	}
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return dialClass(o), err.Error()
	}
	if ex.got.Load() == nil {
		return ex.unconnected(err)
	}
	return ex.responseClass(err)
}

// late names the stage in which the deadline came.
func (ex *exchange) late() (crawl.Class, string) {
	after := "after " + ex.opts.Timeout.String()
	if ex.got.Load() != nil {
		return crawl.ClassTimeoutHeaders, "no response headers " + after
	}
	switch ex.stage.Load() {
	case stageLookup, stageTarget:
		return crawl.ClassDNSTemporary, "look up " + ex.url.Host() + ": no answer " + after
	case stageConnected, stageTLS:
		if ex.url.Scheme() == "https" {
			return crawl.ClassTLS, "TLS handshake not done " + after
		}
	}
	return crawl.ClassConnectTimeout, "no connection " + after
}

func dialClass(err *net.OpError) crawl.Class {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return crawl.ClassConnectRefused
	case err.Timeout(), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded):
		return crawl.ClassConnectTimeout
	case errors.Is(err, syscall.ECONNRESET):
		return crawl.ClassReset
	}
	return crawl.ClassOther
}

// unconnected names a failure between the look-up and the request.
func (ex *exchange) unconnected(err error) (crawl.Class, string) {
	switch ex.stage.Load() {
	case stageConnected, stageTLS:
		return crawl.ClassTLS, tlsDetail(err)
	case stageLookup, stageTarget:
		return crawl.ClassDNSTemporary, fmt.Sprintf("look up %s: %v", ex.url.Host(), err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return crawl.ClassConnectTimeout, err.Error()
	}
	return crawl.ClassOther, err.Error()
}

func tlsDetail(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "TLS handshake: the server does not speak TLS on this port"
	}
	if isBroken(err) {
		return "TLS handshake: the connection broke"
	}
	return "TLS handshake: " + err.Error() + tlsRemedy(err)
}

// tlsRemedy names the option that may help.
func tlsRemedy(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return " (fetch.tls.ca names others)"
	}
	if isAlert(err) && strings.Contains(err.Error(), "certificate required") {
		return " (fetch.tls.client_cert)"
	}
	return ""
}

// isAlert: the server ended it in terms of TLS. With TLS 1.3 it judges the client's
// certificate when the client takes the handshake for done.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// responseClass names a failure between the request and the end of the headers.
func (ex *exchange) responseClass(err error) (crawl.Class, string) {
	text := err.Error()
	switch {
	case strings.Contains(text, "response headers exceeded"), strings.Contains(text, "header list larger"):
		return crawl.ClassTooLarge, fmt.Sprintf("response headers longer than %d bytes", maxHeader)
	case strings.Contains(text, "timeout awaiting response headers"):
		return crawl.ClassTimeoutHeaders, "no response headers in time"
	case isAlert(err):
		return crawl.ClassTLS, tlsDetail(err)
	case !ex.reused.Load() && ex.got.Load().spokeFirst() && !strings.Contains(text, "malformed"):
		// The transport closes the connection then, and which of its goroutines trips
		// over that first is chance.
		return crawl.ClassBadResponse, "the server spoke before it was asked"
	case isBroken(err), ex.cutHeader(text):
		return crawl.ClassReset, "the connection broke before the response headers"
	case isHTTP2(text), strings.Contains(text, "idle connection"):
		return crawl.ClassReset, text
	case strings.Contains(text, "invalid header field"):
		return crawl.ClassOther, text // ours, of the request
	case errors.Is(err, errEarly), ex.early.Load():
		return crawl.ClassReset, errEarly.Error() // another connection gives another answer
	}
	return crawl.ClassBadResponse, text
}

// cutHeader reports whether the transport took half a line of the header for a
// whole one: it does so when the connection ends there.
func (ex *exchange) cutHeader(text string) bool {
	if !ex.got.Load().cutLine() || ex.url.Scheme() != "http" {
		return false
	}
	// What does not begin as HTTP does is not HTTP, cut or not.
	return !strings.Contains(text, "malformed HTTP response") || strings.Contains(text, `response "HTTP`)
}

// bodyTrouble marks the result with what ended its body early.
func (ex *exchange) bodyTrouble(err error) {
	if badTrailer(err.Error()) {
		return // the body is whole
	}
	ex.res.Truncated = true
	size := ex.res.Body.Size
	switch {
	case ex.meter.tooSlow():
		ex.fail(crawl.ClassTooSlow, fmt.Sprintf("body slower than %d bytes a second (fetch.min_speed), %d bytes came", ex.opts.MinSpeed, size))
	case ex.Err() != nil:
		ex.fail(crawl.ClassTimeoutBody, fmt.Sprintf("body not ended after %s, %d bytes came", ex.opts.Timeout, size))
	case errors.Is(err, budget.ErrTooLarge):
		ex.fail(crawl.ClassTooLarge, budget.ErrTooLarge.Error())
	case errors.Is(err, inflate.ErrTooLong) && size > 0:
		ex.fail(crawl.ClassNone, "coded body longer than the limit")
	case errors.Is(err, inflate.ErrTooLong):
		ex.fail(crawl.ClassTooLarge, "coded body longer than the limit, with nothing in it")
	case errors.Is(err, inflate.ErrCut) && size > 0:
		// As browsers do: show what there is.
		ex.fail(crawl.ClassNone, err.Error())
	case errors.Is(err, inflate.ErrCut), errors.Is(err, inflate.ErrCorrupt), errors.Is(err, inflate.ErrLayers):
		ex.fail(crawl.ClassBadResponse, err.Error())
	case isBroken(err), isHTTP2(err.Error()):
		ex.fail(crawl.ClassReset, fmt.Sprintf("the connection broke after %d bytes of the body", size))
	default:
		ex.fail(crawl.ClassBadResponse, err.Error())
	}
}

// badTrailer: what should follow the last chunk is missing, or has no end.
func badTrailer(text string) bool {
	return strings.Contains(text, "EOF reading trailer") || strings.Contains(text, "suspiciously long trailer")
}

// isHTTP2: an error of HTTP/2 that ends a stream. Several exchanges share a
// connection, and which of them broke it is not to be known.
func isHTTP2(text string) bool {
	return strings.Contains(text, "stream error") || strings.Contains(text, "connection error") || strings.Contains(text, "GOAWAY")
}

// isBroken: the far end went away.
func isBroken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	o, ok := errors.AsType[*net.OpError](err)
	return ok && (o.Op == "read" || o.Op == "write")
}

// oneLine makes a bounded line of valid UTF-8 of s.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail-3], "") + "…"
	}
	return s
}
