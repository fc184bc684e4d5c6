package fetcher_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// login is a site that gives its page to those who log in and come back with the
// cookie.
func login(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/login" && r.Method == "POST" && string(body) == "user=me&password=p%26w":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "42", Path: "/"})
		w.Header().Add("Set-Cookie", "evil=1; Domain=example.com") // not its own
		http.Redirect(w, r, "/account", http.StatusSeeOther)
	case r.URL.Path == "/account" && r.Header.Get("Cookie") == "sid=42":
		_, _ = io.WriteString(w, "welcome")
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// TestLogin goes through a form with a secret: the POST of a task, its redirect, and
// the page with the cookie; and the secret is in no message.
func TestLogin(t *testing.T) {
	t.Parallel()
	b := setup(t, login, nil)
	b.readStreams(t)
	form, err := weburl.FromCanonical(b.site.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	form, err = form.WithRequest(weburl.Request{
		Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: "user=me&password={WEIR_SECRET_PASSWORD}",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.publish(t, task(form.String(), nil))
	got := receive(t, "record", b.records)
	f := got.GetFetch()
	if f.GetStatus() != 303 || f.GetRedirectUrl() != b.site.URL+"/account" {
		t.Fatalf("fetch %v", f)
	}
	if n := len(f.GetSetCookies()); n != 1 || f.GetSetCookies()[0].GetName() != "sid" {
		t.Fatalf("cookies %v", f.GetSetCookies())
	}
	if data, _ := proto.Marshal(got); bytes.Contains(data, []byte("p&w")) || bytes.Contains(data, []byte("p%26w")) {
		t.Error("the secret is in the record")
	}
	b.publish(t, task(f.GetRedirectUrl(), func(task *crawlv1.FetchTask) { task.Cookies = f.GetSetCookies() }))
	page := receive(t, "page", b.pages)
	if text := string(inflate(t, page.GetBody().GetDeflate())); text != "welcome" {
		t.Errorf("page %q", text)
	}
	sent := map[string]string{}
	for _, h := range page.GetFetch().GetRequestHeaders() {
		sent[h.GetName()] = string(h.GetValue())
	}
	if sent["Cookie"] != "sid=42" {
		t.Errorf("sent %v", sent)
	}
}

func TestMissingSecret(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.readStreams(t)
	u, err := weburl.FromCanonical(b.site.URL + "/page")
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.WithRequest(weburl.Request{Header: map[string]string{"X-Key": "{WEIR_SECRET_NONE}"}}); err != nil {
		t.Fatal(err)
	}
	b.publish(t, task(u.String(), nil))
	f := receive(t, "record", b.records).GetFetch()
	if f.GetError() != crawlv1.ErrorClass_ERROR_CLASS_OTHER || f.GetErrorDetail() != "the environment of the fetcher has no WEIR_SECRET_NONE" || f.GetStatus() != 0 {
		t.Errorf("fetch %v", f)
	}
	if r := receive(t, "report", b.reports); r.GetError() != crawlv1.ErrorClass_ERROR_CLASS_OTHER {
		t.Errorf("report %v", r)
	}
}

func TestFetchPosts(t *testing.T) {
	t.Parallel()
	b := setup(t, login, nil)
	s := alone(t, config())
	got, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{
		Url: b.site.URL + "/login", Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: []byte("user=me&password=p%26w"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetFetch().GetStatus() != 303 || len(got.GetFetch().GetSetCookies()) != 1 || !strings.HasPrefix(got.GetUrl(), b.site.URL+"/login#!method=POST&") || !got.GetAt().IsValid() {
		t.Errorf("got %v", got)
	}
	if _, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: b.site.URL, Method: "DELETE"}); err == nil || !strings.Contains(err.Error(), "not GET or POST") {
		t.Errorf("DELETE: %v", err)
	}
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.CAFile = t.TempDir() + "/none.pem"
	if _, err := fetcher.New(cfg, fetcher.Deps{}); err == nil || !strings.Contains(err.Error(), "ca-file") {
		t.Errorf("error %v", err)
	}
}
