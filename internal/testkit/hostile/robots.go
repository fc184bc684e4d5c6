package hostile

import (
	"net"
	"strconv"
	"strings"
)

// Verdicts of a robots.txt.
const (
	// Allowed: the page may be visited.
	Allowed = "allowed"
	// Denied: robots.txt says no.
	Denied = "denied"
	// Unreachable: robots.txt cannot be had, so that nothing may be visited.
	Unreachable = "unreachable"
)

// RobotsHost is a host whose trouble is its robots.txt.
type RobotsHost struct {
	// Name of the trouble.
	Name string
	// Page is a URL under /private/.
	Page string
	// Verdict on the page.
	Verdict string
}

// robotsFile is what such a host does when it is asked for robots.txt, or for what
// that redirects to.
type robotsFile struct {
	name, verdict string
	serve         serve
}

func robotsFiles() []robotsFile {
	const deny = "User-agent: *\nDisallow: /private/\n"
	const limit = 500 << 10 // RFC 9309 §2.5
	text := func(body string, header ...string) serve {
		return func(x *exchange) bool { return x.page("200 OK", body, header...) }
	}
	comment := strings.Repeat("# nothing\n", 6000)
	upTo := func(n int) string {
		return "User-agent: *\n#" + strings.Repeat("x", n-len("User-agent: *\n#\n")) + "\n"
	}
	return []robotsFile{
		{"good", Denied, text(deny)},
		{"endless", Denied, repeat(head(ok)+deny, comment)},
		{"endless-line", Allowed, repeat(head(ok), strings.Repeat("x", 64<<10))},
		{"endless-agents", Allowed, repeat(head(ok), strings.Repeat("User-agent: x\n", 4000))},
		{"endless-headers", Unreachable, repeat(ok+"\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n")},
		{"rubbish", Unreachable, send("rubbish\r\n\r\n")},
		{"rule-at-the-limit", Denied, text(upTo(limit-len("Disallow: /private/\n")) + "Disallow: /private/\n")},
		{"rule-over-the-limit", Allowed, text(upTo(limit-len("Disallow: /p")) + "Disallow: /pr\n")},
		{"rule-behind-the-limit", Allowed, text(upTo(limit+1) + deny)},
		{"html", Allowed, text(pageOf("everything is this page"))},
		{"nul", Denied, text(strings.Repeat("\x00", 1000) + "\n" + deny)},
		{"wrong-type", Denied, text(deny, "Content-Disposition: attachment")},
		{"gzip", Denied, text(gzipped(deny), "Content-Encoding: gzip")},
		{"gzip-bomb", Allowed, repeat(head(ok, "Content-Encoding: zstd")+zstdHead, strings.Repeat(zstdZeros, 64))},
		{"hostile-rules", Allowed, text("User-agent: *\n" + strings.Repeat("Disallow: "+strings.Repeat("*a", 40)+"*b$\n", 5000))},
		{"redirect", Denied, redirected(1, deny)},
		{"redirect-5", Denied, redirected(5, deny)},
		{"redirect-6", Allowed, redirected(6, deny)},
		{"redirect-self", Allowed, to(found, "/robots.txt")},
		{"redirect-bait", Unreachable, to(found, "http://169.254.169.254/robots.txt")},
		{"redirect-nowhere", Allowed, to(found, "javascript:alert(1)")},
		{"unauthorized", Allowed, func(x *exchange) bool { return x.page("401 Unauthorized", deny) }},
		{"gone", Allowed, func(x *exchange) bool { return x.page("410 Gone", deny) }},
	}
}

// redirected sends the client on n times before it has the file.
func redirected(n int, body string) serve {
	return func(x *exchange) bool {
		if i := x.number(); i < n {
			return to(found, "/r/"+strconv.Itoa(i+1))(x)
		}
		return x.page("200 OK", body)
	}
}

// robotsHosts opens a host for each file.
func (s *Server) robotsHosts(next func() string) error {
	for _, f := range robotsFiles() {
		l, err := net.Listen("tcp", net.JoinHostPort(next(), "0"))
		if err != nil {
			return err
		}
		s.accept(l, func(c net.Conn) {
			s.converse(c, func(x *exchange) bool {
				if strings.HasPrefix(x.path, "/private/") {
					return x.page("200 OK", pageOf(f.name))
				}
				return f.serve(x)
			})
		})
		s.robots = append(s.robots, RobotsHost{Name: f.name, Page: "http://" + l.Addr().String() + "/private/page", Verdict: f.verdict})
	}
	return nil
}

// Robots are the hosts whose trouble is their robots.txt.
func (s *Server) Robots() []RobotsHost { return s.robots }
