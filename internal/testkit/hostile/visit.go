package hostile

import "strings"

// cookies are pages that have to be asked with what an earlier answer set.
func cookies() []behaviour {
	has := func(x *exchange, cookie string) bool { return strings.Contains("; "+x.cookie+";", "; "+cookie+";") }
	return []behaviour{
		// Leads to itself until the cookie comes back.
		{"/cookie/self", Want{Status: 302, Redirect: "/cookie/self", Size: Any, Later: true}, func(x *exchange) bool {
			if has(x, "self=1") {
				return x.page("200 OK", pageOf("cookie self"))
			}
			return to(found, "/cookie/self", "Set-Cookie: self=1; Path=/cookie")(x)
		}},
		// Leads to a page that sets the cookie and leads back.
		{"/cookie/consent", Want{Status: 302, Redirect: "/cookie/accept?next=consent", Size: Any, Later: true}, func(x *exchange) bool {
			if has(x, "consent=yes") {
				return x.page("200 OK", pageOf("cookie consent"))
			}
			return to(found, "/cookie/accept?next=consent")(x)
		}},
		{"/cookie/accept", Want{Status: 302, Redirect: "/cookie/consent", Size: Any}, to(found, "/cookie/consent", "Set-Cookie: consent=yes; Path=/")},
		// Wants another cookie each time, and is never content.
		{"/cookie/never", Want{Status: 302, Redirect: "/cookie/never", Size: Any}, func(x *exchange) bool {
			return to(found, "/cookie/never", "Set-Cookie: never="+strings.Repeat("x", x.before%50)+"; Path=/cookie/never")(x)
		}},
		// Sets cookies for places that are not its own.
		{"/cookie/foreign", Want{Status: 200, Body: pageOf("foreign")}, func(x *exchange) bool {
			return x.page("200 OK", pageOf("foreign"), "Set-Cookie: a=1; Domain=com", "Set-Cookie: b=1; Domain=example.com", "Set-Cookie: __Host-c=1", "Set-Cookie: d=1; Secure", "Set-Cookie: =", "Set-Cookie: ;;;")
		}},
	}
}

// refreshes are pages that send their reader on by other means than a redirect.
func refreshes() []behaviour {
	meta := func(path, content, refresh string) behaviour {
		body := `<!doctype html><title>refresh</title><meta http-equiv="refresh" content="` + content + `">`
		return behaviour{path, Want{Status: 200, Body: body, Refresh: refresh}, func(x *exchange) bool { return x.page("200 OK", body) }}
	}
	header := func(path, content, refresh string) behaviour {
		body := pageOf("refresh")
		return behaviour{path, Want{Status: 200, Body: body, Refresh: refresh}, func(x *exchange) bool { return x.page("200 OK", body, "Refresh: "+content) }}
	}
	return []behaviour{
		meta("/refresh/meta", "0; url=/good/refreshed-by-meta", "/good/refreshed-by-meta"),
		header("/refresh/header", "0; url=/good/refreshed-by-header", "/good/refreshed-by-header"),
		meta("/refresh/meta-self", "5", ""),
		meta("/refresh/meta-own-url", "0; url=/refresh/meta-own-url", ""),
		header("/refresh/header-self", "5", ""),
		meta("/refresh/two-a", "0; url=/refresh/two-b", "/refresh/two-b"),
		meta("/refresh/two-b", "0; url=/refresh/two-a", "/refresh/two-a"),
		meta("/refresh/late", "900; url=/good/refreshed-late", ""),
		meta("/refresh/javascript", "0; url=javascript:alert(1)", ""),
		meta("/refresh/file", "0; url=file:///etc/passwd", ""),
		header("/refresh/rubbish", "soon; somewhere", ""),
	}
}
