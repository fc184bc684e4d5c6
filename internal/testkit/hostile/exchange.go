package hostile

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// exchange is one request and the connection that it came on.
type exchange struct {
	net.Conn
	tcp    *net.TCPConn // the same
	site   *Server
	stop   <-chan struct{} // closed when the site ends
	path   string          // with the query
	cookie string          // the request's Cookie header
	before int             // requests of the path before this one
}

// maxRequest bounds the header of a request.
const maxRequest = 64 << 10

var errRequest = errors.New("no request")

// readRequest reads a request's header.
func readRequest(r *bufio.Reader) (path, cookie string, err error) {
	for n := 0; n < maxRequest; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", "", err
		}
		n += len(line)
		text := strings.TrimRight(string(line), "\r\n")
		name, value, _ := strings.Cut(text, ":")
		switch {
		case path == "":
			fields := strings.Fields(text)
			if len(fields) != 3 {
				return "", "", errRequest
			}
			path = fields[1]
		case text == "":
			return path, cookie, nil
		case strings.EqualFold(name, "Cookie"):
			cookie = strings.TrimSpace(value)
		}
	}
	return "", "", errRequest
}

// text writes s; a client that went away shows at the next write.
func (x *exchange) text(s string) error {
	_, err := io.WriteString(x, s)
	return err
}

// page answers with a page in good order.
func (x *exchange) page(status, body string, header ...string) bool {
	lines := append([]string{"HTTP/1.1 " + status, "Content-Type: text/html; charset=utf-8", "Content-Length: " + strconv.Itoa(len(body))}, header...)
	return x.text(head(lines...)+body) == nil
}

// reset ends the connection with RST instead of FIN.
func (x *exchange) reset() {
	if x.tcp != nil {
		_ = x.tcp.SetLinger(0) // a connection that is gone is reset already
	}
}

// send answers with s and closes.
func send(s string) serve { return func(x *exchange) bool { _ = x.text(s); return false } }

// sendKeep answers with s and goes on.
func sendKeep(s string) serve { return func(x *exchange) bool { return x.text(s) == nil } }

// sendStall answers with s and then not any more, until the client goes.
func sendStall(s string) serve {
	return func(x *exchange) bool {
		if x.text(s) == nil {
			_, _ = io.Copy(io.Discard, x)
		}
		return false
	}
}

// sendReset answers with s and breaks the connection.
func sendReset(s string) serve {
	return func(x *exchange) bool {
		if x.text(s) == nil && s != "" {
			// What was sent should be read first. The client has nothing more to say, so
			// that this waits.
			_ = x.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = x.Read(make([]byte, 1))
		}
		x.reset()
		return false
	}
}

// repeat answers with head, then piece until the client has had enough.
func repeat(head, piece string) serve {
	return func(x *exchange) bool {
		for err := x.text(head); err == nil; {
			err = x.text(piece)
		}
		return false
	}
}

// drip answers with head, then a byte of s each time that the interval is over, and
// again from its beginning.
func drip(interval time.Duration, head, s string) serve {
	return func(x *exchange) bool {
		err := x.text(head)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for i := 0; err == nil; i++ {
			select {
			case <-tick.C:
				err = x.text(s[i%len(s) : i%len(s)+1])
			case <-x.stop:
				return false
			}
		}
		return false
	}
}
