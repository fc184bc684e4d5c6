package hostile

import (
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

const (
	chunked = "Transfer-Encoding: chunked"
	isHTML  = "Content-Type: text/html"
	hello   = "hello"
)

// wellFormed is odd, and yet what every browser reads.
func wellFormed() []behaviour {
	fine := Want{Status: 200, Body: hello}
	const five = "Content-Length: 5"
	return []behaviour{
		{"/fine/length", fine, sendKeep(head(ok, isHTML, five) + hello)},
		{"/fine/http10", fine, send(head("HTTP/1.0 200 OK", isHTML) + hello)},
		{"/fine/http10-length", fine, send(head("HTTP/1.0 200 OK", isHTML, five) + hello)},
		{"/fine/until-close", fine, send(head(ok, isHTML) + hello)},
		{"/fine/lf", fine, send(strings.ReplaceAll(head(ok, isHTML, five), "\r\n", "\n") + hello)},
		{"/fine/no-reason", fine, sendKeep(head("HTTP/1.1 200", isHTML, five) + hello)},
		{"/fine/empty-reason", fine, sendKeep(head("HTTP/1.1 200 ", isHTML, five) + hello)},
		{"/fine/informational", fine, sendKeep(head("HTTP/1.1 103 Early Hints", "Link: </a>") + head(ok, isHTML, five) + hello)},
		{"/fine/odd-charsets", fine, sendKeep(head(ok, isHTML, "X-Latin: caf\xe9", "X-Utf: caf\u00e9", "X-Raw: \xff\xfe", five) + hello)},
		{"/fine/204", Want{Status: 204}, sendKeep(head("HTTP/1.1 204 No Content"))},
		{"/fine/chunked", fine, sendKeep(head(ok, isHTML, chunked) + "5\r\nhello\r\n0\r\n\r\n")},
		{"/fine/chunk-extensions", fine, sendKeep(head(ok, isHTML, chunked) + "2;a=b\r\nhe\r\n3\r\nllo\r\n0;x\r\nTrailer: y\r\n\r\n")},
		{"/fine/length-twice", fine, sendKeep(head(ok, isHTML, five, five) + hello)},
		{"/fine/chunked-and-length", fine, send(head(ok, isHTML, chunked, five) + "5\r\nhello\r\n0\r\n\r\n")},
	}
}

// ends are connections that break off, at every stage of a response.
func ends() []behaviour {
	cut := Want{Class: crawl.ClassReset, Status: 200, Truncated: true, Body: hello, Detail: "after 5 bytes"}
	none := Want{Class: crawl.ClassReset, Detail: "before the response headers"}
	begun := head(ok, isHTML, "Content-Length: 10") + hello
	chunks := head(ok, isHTML, chunked)
	return []behaviour{
		{"/close/at-once", none, send("")},
		{"/close/status-line", none, send("HTTP/1.1 20")},
		{"/close/headers", none, send(ok + "\r\nContent-Le")},
		{"/close/body", cut, send(begun)},
		{"/close/before-body", Want{Class: crawl.ClassReset, Status: 200, Truncated: true}, send(head(ok, isHTML, "Content-Length: 10"))},
		{"/close/chunk", cut, send(chunks + "a\r\nhello")},
		{"/close/last-chunk", cut, send(chunks + "5\r\nhello\r\n")},
		{"/close/trailer", Want{Status: 200, Body: hello}, send(chunks + "5\r\nhello\r\n0\r\n")},
		{"/reset/at-once", none, sendReset("")},
		{"/reset/status-line", none, sendReset("HTTP/1.1 20")},
		{"/reset/headers", none, sendReset(ok + "\r\nContent-Le")},
		{"/reset/body", cut, sendReset(begun)},
		{"/reset/chunk", cut, sendReset(chunks + "a\r\nhello")},
		{"/reset/last-chunk", cut, sendReset(chunks + "5\r\nhello\r\n")},
		{"/reset/until-close", cut, sendReset(head(ok, isHTML) + hello)},
		{"/reset/whole", Want{Status: 200, Body: hello}, sendReset(head(ok, isHTML, "Content-Length: 5") + hello)},
		{"/reset/error-page", Want{Class: crawl.ClassStatus4xx, Status: 404, Truncated: true, Body: hello}, sendReset(head("HTTP/1.1 404 Not Found", "Content-Length: 10") + hello)},
		{"/reset/redirect", Want{Status: 302, Truncated: true, Body: hello, Redirect: "/good/target"}, sendReset(head("HTTP/1.1 302 Found", "Location: /good/target", "Content-Length: 10") + hello)},
	}
}

// lengths are lies about how long a body is.
func lengths() []behaviour {
	bad := Want{Class: crawl.ClassBadResponse}
	badChunk := Want{Class: crawl.ClassBadResponse, Status: 200, Truncated: true, Body: hello}
	chunks := head(ok, isHTML, chunked)
	return []behaviour{
		{"/length/short", Want{Status: 200, Body: "hel"}, sendKeep(head(ok, isHTML, "Content-Length: 3") + hello)},
		{"/length/poison", Want{Status: 200, Body: hello}, sendKeep(head(ok, isHTML, "Content-Length: 5") + hello + head(ok, isHTML, "Content-Length: 6") + "poison")},
		{"/length/long", Want{Class: crawl.ClassTimeoutBody, Status: 200, Truncated: true, Body: hello, Slow: true}, sendStall(head(ok, isHTML, "Content-Length: 6") + hello)},
		{"/length/body-missing", Want{Class: crawl.ClassTimeoutBody, Status: 200, Truncated: true, Slow: true}, sendStall(head(ok, isHTML, "Content-Length: 100"))},
		{"/length/body-of-204", Want{Status: 204}, sendKeep(head("HTTP/1.1 204 No Content", "Content-Length: 5") + hello)},
		{"/length/negative", bad, send(head(ok, isHTML, "Content-Length: -5") + hello)},
		{"/length/plus", bad, send(head(ok, isHTML, "Content-Length: +5") + hello)},
		{"/length/two", bad, send(head(ok, isHTML, "Content-Length: 5", "Content-Length: 6") + hello)},
		{"/length/list", bad, send(head(ok, isHTML, "Content-Length: 5, 6") + hello)},
		{"/length/letters", bad, send(head(ok, isHTML, "Content-Length: five") + hello)},
		{"/length/huge", bad, send(head(ok, isHTML, "Content-Length: 99999999999999999999") + hello)},
		{"/chunk/letters", badChunk, send(chunks + "5\r\nhello\r\nzz\r\nworld\r\n0\r\n\r\n")},
		{"/chunk/huge", Want{Class: crawl.ClassBadResponse, Status: 200, Truncated: true}, send(chunks + "fffffffffffffffffff\r\nhello")},
		{"/chunk/negative", badChunk, send(chunks + "5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n")},
		{"/chunk/longer-than-said", badChunk, send(chunks + "5\r\nhello world\r\n0\r\n\r\n")},
		{"/chunk/endless-length", Want{Class: crawl.ClassBadResponse, Status: 200, Truncated: true}, repeat(chunks, strings.Repeat("0", 4096))},
		{"/chunk/endless-extension", Want{Class: crawl.ClassBadResponse, Status: 200, Truncated: true}, repeat(chunks+"5;", strings.Repeat("x", 4096))},
		{"/chunk/unknown-coding", bad, send(head(ok, isHTML, "Transfer-Encoding: rot13") + hello)},
		{"/chunk/twice", bad, send(head(ok, isHTML, "Transfer-Encoding: chunked, chunked") + "5\r\nhello\r\n0\r\n\r\n")},
	}
}

// rubbish is not HTTP.
func rubbish() []behaviour {
	bad := Want{Class: crawl.ClassBadResponse}
	return []behaviour{
		{"/rubbish/bytes", bad, send("\x00\x01\x02garbage\r\n\r\n")},
		{"/rubbish/html", bad, send("<!doctype html>\n<title>no header</title>\n\n")},
		{"/rubbish/ssh", bad, send("SSH-2.0-OpenSSH_9.6\r\n")},
		{"/rubbish/smtp", bad, send("220 mail.example ESMTP\r\n")},
		{"/rubbish/tls", bad, send("\x15\x03\x01\x00\x02\x02\x46")},
		{"/rubbish/h2", bad, send("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff")},
		{"/rubbish/status", bad, send("HTTP/1.1 abc OK\r\n\r\n")},
		{"/rubbish/version", bad, send("HTTP/9x 200 OK\r\n\r\n")},
		{"/rubbish/icy", bad, send("ICY 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")},
		{"/rubbish/header-line", bad, send(head(ok, "nonsense", "Content-Length: 5") + hello)},
		{"/rubbish/header-nul", bad, send(head(ok, "X-A: a\x00b", "Content-Length: 5") + hello)},
		{"/rubbish/101", Want{Class: crawl.ClassBadResponse, Status: 101}, send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: x", "Connection: upgrade"))},
		{"/rubbish/999", Want{Class: crawl.ClassBadResponse, Status: 999}, send(head("HTTP/1.1 999 Denied", "Content-Length: 0"))},
		{"/rubbish/000", Want{Class: crawl.ClassBadResponse, Status: 0, Size: Any}, send(head("HTTP/1.1 000 None", "Content-Length: 0"))},
	}
}

// floods never end.
func floods() []behaviour {
	big := strings.Repeat("x", 64<<10)
	line := "X-A: " + strings.Repeat("a", 1000) + "\r\n"
	large := Want{Class: crawl.ClassTooLarge}
	cut := Want{Status: 200, Size: Full, Truncated: true, Detail: "body cut at"}
	return []behaviour{
		{"/flood/headers", large, repeat(ok+"\r\n", line)},
		{"/flood/header-line", large, repeat(ok+"\r\nX-A: ", big)},
		{"/flood/header-fold", large, repeat(ok+"\r\nX-A: b\r\n", " folded\r\n")},
		{"/flood/status-line", large, repeat("HTTP/1.1 200 ", big)},
		{"/flood/informational", large, repeat("", "HTTP/1.1 102 Processing\r\n"+line+"\r\n")},
		{"/flood/cookies", large, repeat(ok+"\r\n", "Set-Cookie: a"+strings.Repeat("b", 200)+"=1\r\n")},
		{"/flood/one-header", large, send(ok + "\r\nX-A: " + strings.Repeat("a", 512<<10) + "\r\n\r\n")},
		{"/flood/body", cut, repeat(head(ok, isHTML), big)},
		{"/flood/chunks", cut, repeat(head(ok, isHTML, chunked), "10000\r\n"+big+"\r\n")},
		{"/flood/small-chunks", cut, repeat(head(ok, isHTML, chunked), strings.Repeat("1\r\nx\r\n", 4096))},
		{"/flood/length", cut, repeat(head(ok, isHTML, "Content-Length: 9000000000"), big)},
		{"/flood/trailers", Want{Status: 200, Body: hello}, repeat(head(ok, isHTML, chunked)+"5\r\nhello\r\n0\r\n", line)},
		{"/flood/redirect-body", Want{Status: 302, Size: Full, Truncated: true, Redirect: "/good/target"}, repeat(head("HTTP/1.1 302 Found", "Location: /good/target"), big)},
		{"/flood/error-body", Want{Class: crawl.ClassStatus4xx, Status: 404, Size: Full, Truncated: true}, repeat(head("HTTP/1.1 404 Not Found"), big)},
	}
}

// slow is what only a time limit ends.
func slow() []behaviour {
	headers := Want{Class: crawl.ClassTimeoutHeaders, Slow: true}
	body := Want{Class: crawl.ClassTimeoutBody, Status: 200, Truncated: true, Body: hello, Slow: true}
	some := Want{Class: crawl.ClassTimeoutBody, Status: 200, Truncated: true, Size: Any, Slow: true}
	chunks := head(ok, isHTML, chunked)
	return []behaviour{
		{"/stall/status-line", headers, sendStall("")},
		{"/stall/in-status-line", headers, sendStall("HTTP/1.1 20")},
		{"/stall/headers", headers, sendStall(ok + "\r\nX-A: b\r\n")},
		{"/stall/header-line", headers, sendStall(ok + "\r\nX-A: b")},
		{"/stall/body", body, sendStall(head(ok, isHTML, "Content-Length: 10") + hello)},
		{"/stall/until-close", body, sendStall(head(ok, isHTML) + hello)},
		{"/stall/chunk", body, sendStall(chunks + "a\r\nhello")},
		{"/stall/last-chunk", body, sendStall(chunks + "5\r\nhello\r\n")},
		{"/stall/error-page", Want{Class: crawl.ClassStatus5xx, Status: 500, Truncated: true, Body: hello, Slow: true}, sendStall(head("HTTP/1.1 500 Oops", "Content-Length: 10") + hello)},
		{"/drip/headers", headers, drip(10*time.Millisecond, "", ok+"\r\n"+strings.Repeat("X: y\r\n", 1000))},
		{"/drip/body", some, drip(10*time.Millisecond, head(ok, isHTML), "x")},
		{"/drip/body-1-a-second", some, drip(time.Second, head(ok, isHTML)+"x", "x")},
		{"/drip/chunks", some, drip(time.Millisecond, chunks, "1\r\nx\r\n")},
		{"/drip/informational", headers, drip(time.Millisecond, "", "HTTP/1.1 100 Continue\r\n\r\n")},
		{"/drip/error-page", Want{Class: crawl.ClassStatus4xx, Status: 404, Truncated: true, Size: Any, Slow: true}, drip(10*time.Millisecond, head("HTTP/1.1 404 Not Found"), "x")},
	}
}
