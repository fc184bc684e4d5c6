package client_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
)

// TestSecondAnswer: what a server says after an answer is not the answer to the next
// request, although the connection may be taken for that before the transport has
// noticed.
func TestSecondAnswer(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"an answer nobody asked for": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
		"a body of 204":              "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
		"rubbish":                    "HTTP/1.1 204 No Content\r\n\r\n\n ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := rawServer(t, func(c net.Conn, _ <-chan struct{}) {
				for {
					got := readRequest(c)
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
					if strings.HasPrefix(got, "GET /first ") {
						answer = first
					}
					if _, err := io.WriteString(c, answer); err != nil || got == "" {
						return
					}
				}
			})
			b := setup(t, nil, local, "127.0.0.0/8")
			n := map[string]int{}
			for range 300 {
				b.do(t, "http://"+addr+"/first", options())
				got := b.do(t, "http://"+addr+"/next", options())
				body := text(t, got.Body)
				n[got.Class.String()+" "+body]++
				if got.Class != crawl.ClassReset && (got.Class != crawl.ClassNone || body != "good") {
					t.Fatalf("the next answer is %s %q (%s)", got.Class, body, got.Detail)
				}
			}
			t.Log(n)
		})
	}
}
