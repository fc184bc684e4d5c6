package console

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

const (
	// cookieName is that of the cookie with the token. No other page of the host gets it.
	cookieName = "weir_token"
	// cookieAge is how long a browser keeps it, in seconds.
	cookieAge = 12 * 60 * 60
	// maxToken bounds a token: browsers keep cookies of 4 KiB.
	maxToken = 3 << 10
)

// tokenOf returns the token of a request, "" for none.
func tokenOf(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil || !sendable(c.Value) {
		return ""
	}
	return c.Value
}

// sendable reports whether a token fits into a header.
func sendable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == ',' || r == ';' || r == '\\' })
}

// withToken has calls carry a token.
func withToken(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// allowed returns nil when whoever looks may look at all: what the console knows by
// itself, such as charts, is for them only.
func (s *Server) allowed(ctx context.Context) error {
	_, err := s.deps.Client.Crawls.ListCrawls(ctx, &schedulerv1.ListCrawlsRequest{PageSize: 1})
	return err
}

// signInPage is what the form shows.
type signInPage struct {
	Next, Problem string
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, view{Name: "signin", Title: "Sign in", Page: signInPage{Next: local(r.FormValue("next"))}})
}

// signedIn tries a token and keeps it in a cookie.
func (s *Server) signedIn(w http.ResponseWriter, r *http.Request) error {
	next, token := local(r.PostFormValue("next")), strings.TrimSpace(r.PostFormValue("token"))
	refused := func(problem string) error {
		return s.render(w, r, http.StatusUnauthorized, view{Name: "signin", Title: "Sign in", Page: signInPage{Next: next, Problem: problem}})
	}
	if !sendable(token) {
		return refused("This is no token: it is one word, as your operator gave it to you.")
	}
	switch err := s.allowed(withToken(context.WithoutCancel(r.Context()), token)); status.Code(err) {
	case codes.OK:
	case codes.Unauthenticated, codes.PermissionDenied:
		return refused("This token is not known, or no longer.")
	default:
		return err
	}
	s.lender.lend(token)
	http.SetCookie(w, s.cookie(token, cookieAge))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	s.lender.takeBack(tokenOf(r))
	http.SetCookie(w, s.cookie("", -1))
	r.Header.Del("Cookie") // it lends nothing any more
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}

func (s *Server) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.cfg.secure(),
	}
}

// local returns a path of this console to go on to: nothing that a link made elsewhere
// could lead away by.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(next, "/sign") {
		return "/"
	}
	return next
}

// lender remembers the token of whoever signed in last, or came with one, for the charts
// of a console that has none of its own. It is kept in memory only.
type lender struct {
	mu    sync.Mutex
	token string
}

func (l *lender) lend(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = token
}

// offer lends a token where none is lent. One that is no good is taken back by the next
// look.
func (l *lender) offer(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == "" {
		l.token = token
	}
}

// takeBack forgets a token.
func (l *lender) takeBack(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == token {
		l.token = ""
	}
}

func (l *lender) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}

// ownToken is the token of the console itself. The file is read anew each time, so that
// one that was replaced counts at once.
func (s *Server) ownToken() (string, error) {
	if s.cfg.TokenFile == "" {
		return s.lender.get(), nil
	}
	data, err := os.ReadFile(s.cfg.TokenFile)
	if err != nil {
		return "", crawl.Errorf(crawl.Invalid, "read console.token-file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if !sendable(token) {
		return "", crawl.Errorf(crawl.Invalid, "console.token-file %s holds no token: one word is wanted", s.cfg.TokenFile)
	}
	return token, nil
}
