package hostile

import (
	"strconv"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
)

// to redirects to a place, with a body as browsers' ancestors wanted it.
func to(status, location string, header ...string) serve {
	return func(x *exchange) bool {
		return x.page(status, pageOf("moved"), append(header, "Location: "+location)...)
	}
}

const found = "302 Found"

// redirects lead nowhere, in circles, elsewhere, or out of the web.
func redirects() []behaviour {
	moved := func(target string) Want { return Want{Status: 302, Redirect: target, Size: Any} }
	refused := Want{Class: crawl.ClassBadResponse, Status: 302, Size: Any, Detail: "redirect to"}
	list := []behaviour{
		{"/redirect/self", Want{Class: crawl.ClassRedirectLoop, Status: 302, Redirect: "/redirect/self", Size: Any}, to(found, "/redirect/self")},
		{"/redirect/fragment", Want{Class: crawl.ClassRedirectLoop, Status: 302, Redirect: "/redirect/fragment", Size: Any}, to(found, "#top")},
		{"/redirect/two-a", moved("/redirect/two-b"), to(found, "/redirect/two-b")},
		{"/redirect/two-b", moved("/redirect/two-a"), to(found, "/redirect/two-a")},
		{"/redirect/ring/", moved("/redirect/ring/1"), func(x *exchange) bool {
			return to(found, "/redirect/ring/"+strconv.Itoa((x.number()+1)%10))(x)
		}},
		{"/redirect/chain/", moved("/redirect/chain/1"), func(x *exchange) bool {
			return to(found, "/redirect/chain/"+strconv.Itoa(x.number()+1))(x)
		}},
		{"/redirect/query", moved("/redirect/query?n=1"), func(x *exchange) bool {
			_, n, _ := strings.Cut(x.path, "n=")
			i, _ := strconv.Atoi(n)
			return to(found, "?n="+strconv.Itoa(i+1))(x)
		}},
		{"/redirect/cross", Want{Status: 302, Redirect: "//other/good/crossed", Size: Any}, func(x *exchange) bool {
			return to(found, "http://"+x.site.Other()+"/good/crossed")(x)
		}},
		{"/redirect/there-and-back", Want{Status: 302, Redirect: "//other/redirect/back", Size: Any}, func(x *exchange) bool {
			return to(found, "http://"+x.site.Other()+"/redirect/back")(x)
		}},
		{"/redirect/back", Want{Status: 302, Redirect: "//main/redirect/there-and-back", Size: Any}, func(x *exchange) bool {
			return to(found, "http://"+x.site.Main()+"/redirect/there-and-back")(x)
		}},
		{"/redirect/credentials", Want{Status: 302, Redirect: "//main/good/credentials", Size: Any}, func(x *exchange) bool {
			return to(found, "http://user:secret@"+x.site.Main()+"/good/credentials")(x)
		}},
		{"/redirect/none", Want{Class: crawl.ClassBadResponse, Status: 302, Size: Any}, func(x *exchange) bool { return x.page(found, pageOf("moved")) }},
		{"/redirect/empty", Want{Class: crawl.ClassBadResponse, Status: 302, Size: Any}, to(found, "")},
		{"/redirect/long", refused, to(found, "/"+strings.Repeat("x", 100_000))},
		{"/redirect/spaces", moved("/good/a%20b"), to(found, "  /good/a b  ")},
		{"/redirect/latin", moved("/good/%E9"), to(found, "/good/\xe9")},
		{"/redirect/two-locations", moved("/good/first"), to(found, "/good/second", "Location: /good/first")},
	}
	for _, status := range []string{"301", "303", "307", "308"} {
		n, _ := strconv.Atoi(status)
		list = append(list, behaviour{"/redirect/" + status, Want{Status: n, Redirect: "/good/" + status, Size: Any}, to(status+" Moved", "/good/"+status)})
	}
	for name, location := range map[string]string{
		"file": "file:///etc/passwd", "javascript": "javascript:alert(1)", "data": "data:text/html,<h1>x</h1>", "ftp": "ftp://127.0.0.1/", "mailto": "mailto:a@example.com",
		"about": "about:blank", "ws": "ws://127.0.0.1/", "gopher": "gopher://127.0.0.1:6379/_FLUSHALL", "unix": "unix:/var/run/docker.sock", "jar": "jar:http://127.0.0.1/x!/y",
		"view-source": "view-source:http://127.0.0.1/", "bracket": "http://[", "port": "http://127.0.0.1:99999/", "host": "http://a b/", "scheme": "http://",
	} {
		list = append(list, behaviour{"/redirect/to-" + name, refused, to(found, location)})
	}
	return list
}

// number is the one that the request's path ends in.
func (x *exchange) number() int {
	n, err := strconv.Atoi(x.path[strings.LastIndexByte(x.path, '/')+1:])
	if err != nil {
		return 0
	}
	return n
}

// Bait is a URL of what a crawler may not visit.
type Bait struct {
	// Name of the bait, for paths.
	Name string
	// URL as a page writes it, and in its canonical form.
	URL, Canonical string
}

// Baits are addresses of a cloud's metadata service, of private networks and of the
// machine itself in every notation that a URL has for them.
func Baits() []Bait {
	const metadata = "http://169.254.169.254/"
	at := func(name, host, canonical string) Bait { return Bait{name, "http://" + host + "/", canonical} }
	same := func(name, host string) Bait { return at(name, host, "http://"+host+"/") }
	return []Bait{
		same("dotted", "169.254.169.254"),
		at("decimal", "2852039166", metadata),
		at("hex", "0xA9FEA9FE", metadata),
		at("hex-dotted", "0xa9.0xfe.0xa9.0xfe", metadata),
		at("octal", "025177524776", metadata),
		at("octal-dotted", "0251.0376.0251.0376", metadata),
		at("mixed", "169.0xfe.0251.254", metadata),
		at("three-parts", "169.254.43518", metadata),
		at("two-parts", "169.16689662", metadata),
		at("leading-zeros", "000000251.00376.0251.0376", metadata),
		at("fullwidth", "１６９．２５４．１６９．２５４", metadata),
		at("ideographic-dots", "169。254。169。254", metadata),
		at("circled", "①⑥⑨.②⑤④.①⑥⑨.②⑤④", metadata),
		at("escaped", "%31%36%39.254.169.254", metadata),
		at("trailing-dot", "169.254.169.254.", metadata),
		at("credentials", "www.example.com@169.254.169.254", metadata),
		at("backslash", `169.254.169.254\@www.example.com`, metadata+"@www.example.com/"),
		at("tab", "169.254\t.169.254", metadata),
		at("port", "169.254.169.254:80", metadata),
		at("mapped", "[::ffff:169.254.169.254]", "http://[::ffff:a9fe:a9fe]/"),
		same("mapped-hex", "[::ffff:a9fe:a9fe]"),
		at("mapped-long", "[0:0:0:0:0:FFFF:A9FE:A9FE]", "http://[::ffff:a9fe:a9fe]/"),
		at("nat64", "[64:ff9b::169.254.169.254]", "http://[64:ff9b::a9fe:a9fe]/"),
		same("compatible", "[::a9fe:a9fe]"),
		same("six-to-four", "[2002:a9fe:a9fe::]"),
		same("aws-ipv6", "[fd00:ec2::254]"),
		same("alibaba", "100.100.100.200"),
		same("azure", "168.63.129.16"),
		same("loopback", "127.0.0.1"),
		at("loopback-short", "127.1", "http://127.0.0.1/"),
		at("loopback-decimal", "2130706433", "http://127.0.0.1/"),
		same("loopback-ipv6", "[::1]"),
		same("loopback-mapped", "[::ffff:7f00:1]"),
		same("zero", "0.0.0.0"),
		at("zero-short", "0", "http://0.0.0.0/"),
		same("zero-ipv6", "[::]"),
		same("localhost", "localhost"),
		at("localhost-capitals", "LOCALHOST", "http://localhost/"),
		same("localhost-sub", "any.localhost"),
		same("private-10", "10.0.0.1"),
		same("private-172", "172.16.0.1"),
		same("private-192", "192.168.0.1"),
		same("private-ipv6", "[fc00::1]"),
		same("link-local", "[fe80::1]"),
		same("multicast", "224.0.0.1"),
		same("broadcast", "255.255.255.255"),
	}
}

// baits are redirects to each of them.
func baits() []behaviour {
	var list []behaviour
	for _, b := range Baits() {
		list = append(list, behaviour{"/bait/" + b.Name, Want{Status: 302, Redirect: b.Canonical, Size: Any}, to(found, b.URL)})
	}
	return list
}
