package console

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// policy is what browsers let a page do: nothing but what comes from here, no scripts
// and no styles inside pages, no frames.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// maxForm bounds the body of a request: a spec with its schemas.
const maxForm = 2 << 20

// guard says to browsers what pages may do, and refuses requests that another site has
// a browser make.
func (s *Server) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, errCrossOrigin)
	}))
	protected := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		protected.ServeHTTP(w, r)
	})
}

// knownHost refuses names that the console is not called by. A page elsewhere whose name
// is made to lead to this machine would otherwise be of the same origin as the console,
// and on a laptop nothing else keeps it out.
func (s *Server) knownHost(next http.Handler) http.Handler {
	names := s.cfg.Hosts
	if len(names) == 0 && !s.loopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !known(r.Host, names) {
			http.Error(w, "This console is not called "+cut(r.Host, 100)+": open it by localhost or an IP address, or name it in console.hosts.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// loopback reports whether only this machine reaches the port.
func (s *Server) loopback() bool {
	host, _, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// known reports whether a Host header is localhost, an address or one of the names.
func known(hostport string, names []string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) || strings.EqualFold(n, hostport) })
}

// deadline has the connection end when a browser takes nothing for writeTime.
func deadline(w http.ResponseWriter) {
	// A recorder of tests has no connection.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
}
