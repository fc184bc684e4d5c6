package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weircrawl/weir/test/driver"
)

// shop is a site whose orders are behind a login.
type shop struct {
	url, cdn string

	mu     sync.Mutex
	logins []string // bodies of the forms that were sent
	files  int
}

const shopPassword = `pä55 &=+"{x}`

// newShop starts a shop, and a host of its files.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{}
	start := func(addr string, h http.Handler) string {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(h)
		_ = srv.Listener.Close()
		srv.Listener = l
		srv.Start()
		t.Cleanup(srv.Close)
		return srv.URL
	}
	s.cdn = start("127.0.0.41:0", http.HandlerFunc(s.file))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", s.form)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /account", s.inside(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<title>Account</title><a href=/orders/1>1</a><a href=/orders/2>2</a><a href=/logout>x</a>`)
	}))
	mux.HandleFunc("GET /orders/{id}", s.inside(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `<h1>%s</h1><a class=receipt href=%s/%s.pdf>Receipt</a>`, r.PathValue("id"), s.cdn, r.PathValue("id"))
	}))
	s.url = start("127.0.0.40:0", mux)
	return s
}

func (s *shop) form(w http.ResponseWriter, _ *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "t0ken", Path: "/"})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<form id=login action=/login?next=%2Faccount method=post><input type=hidden name=csrf value=t0ken>
		<input name=user><input type=password name=password><button name=do value=login>Log in</button></form>`)
}

func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	csrf, err := r.Cookie("csrf")
	body, readErr := io.ReadAll(r.Body)
	s.mu.Lock()
	s.logins = append(s.logins, r.Header.Get("Content-Type")+" "+string(body))
	s.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if err != nil || readErr != nil || csrf.Value != r.PostFormValue("csrf") || r.PostFormValue("user") != "me@x.example" || r.PostFormValue("password") != shopPassword {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "open", Path: "/", HttpOnly: true})
	http.Redirect(w, r, r.URL.Query().Get("next"), http.StatusSeeOther)
}

// inside is for those who are logged in.
func (s *shop) inside(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err != nil || c.Value != "open" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		h(w, r)
	}
}

func (s *shop) file(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, ".pdf") {
		w.WriteHeader(http.StatusNotFound) // robots.txt
		return
	}
	s.mu.Lock()
	s.files++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/pdf")
	_, _ = io.WriteString(w, "%PDF-1.4 "+r.URL.Path)
}

// TestLogin: a form is filled in with a secret of the fetchers, the cookie that comes
// back opens what is behind it, and the files that its items name are fetched from a
// host that is out of scope.
func TestLogin(t *testing.T) {
	t.Setenv("WEIR_SECRET_E2E", shopPassword)
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		s := newShop(t)
		res := crawl(t, mode, driver.Job{Spec: `name: login
seeds: {urls: ["` + s.url + `/login"]}
politeness: {delay: 0s}
scope: {rules: [{reject: "*/logout*"}]}
requests:
  - name: login
    form: "form#login"
    priority: -10
    fields: {user: {constant: me@x.example}, password: {secret: WEIR_SECRET_E2E}}
extract:
  - name: order
    match: "*/orders/*"
    fields: {number: {css: h1, type: integer}, receipt: {css: a.receipt, attr: href, type: url, media: true}}
`})
		s.mu.Lock()
		defer s.mu.Unlock()
		want := []string{"application/x-www-form-urlencoded csrf=t0ken&user=me%40x.example&password=p%C3%A455+%26%3D%2B%22%7Bx%7D"}
		if !slices.Equal(s.logins, want) {
			t.Errorf("the shop got the forms %q, want %q", s.logins, want)
		}
		if len(res.Items) != 2 || s.files != 2 {
			t.Errorf("%d items, %d files fetched, want two each: %+v", len(res.Items), s.files, res.Summary)
		}
	})
}
