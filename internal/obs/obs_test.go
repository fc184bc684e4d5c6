package obs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/obs"
)

func TestNewLogger(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ level, format, want string }{
		"text": {"info", "text", "level=WARN msg=hello host=a\n"},
		"json": {"warn", "json", `"level":"WARN","msg":"hello","host":"a"}` + "\n"},
		"none": {"error", "text", ""},
		"bad":  {"loud", "text", "log level"},
		"odd":  {"info", "xml", "log format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			l, err := obs.NewLogger(&b, tc.level, tc.format)
			if err != nil {
				if !strings.HasPrefix(err.Error(), tc.want) || tc.want == "" {
					t.Errorf("got %v", err)
				}
				return
			}
			l.Debug("hidden")
			l.Warn("hello", "host", "a")
			if !strings.HasSuffix(b.String(), tc.want) || tc.want == "" && b.Len() > 0 {
				t.Errorf("got %q, want %q", b.String(), tc.want)
			}
		})
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestAdminRoutes(t *testing.T) {
	t.Parallel()
	ready := errors.New("not yet")
	a, err := obs.NewAdmin(obs.Config{ReadyTimeout: 1e9}, obs.Deps{
		Registry: obs.NewRegistry("v1.2.3"), Ready: func(context.Context) error { return ready }})
	if err != nil {
		t.Fatal(err)
	}
	h := a.Handler()
	expect := func(path string, code int, body string) {
		t.Helper()
		c, b := get(t, h, path)
		if c != code || !strings.Contains(b, body) {
			t.Errorf("%s: %d %q", path, c, b)
		}
	}
	expect("/livez", 200, "ok")
	expect("/readyz", 503, "not yet")
	expect("/startupz", 503, "not yet")
	ready = nil
	expect("/startupz", 200, "ok")
	expect("/readyz", 200, "ok")
	expect("/metrics", 200, `weir_build_info{version="v1.2.3"} 1`)
	expect("/metrics", 200, "go_goroutines")
	expect("/debug/pprof/", 200, "goroutine")
	expect("/nothing", 404, "")
	ready = errors.New("NATS is away")
	expect("/readyz", 503, "NATS is away")
	expect("/startupz", 200, "ok")
	expect("/livez", 200, "ok")
	ready = nil
	a.Stopping()
	expect("/readyz", 503, "stopping")
}

func TestAdminRun(t *testing.T) {
	t.Parallel()
	a, err := obs.NewAdmin(obs.Config{Listen: "127.0.0.1:0", ReadyTimeout: 1e9}, obs.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := obs.NewAdmin(obs.Config{Listen: a.Addr(), ReadyTimeout: 1e9}, obs.Deps{}); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("port in use: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "ok\n" {
		t.Errorf("got %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	if err := obs.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (obs.Config{Listen: "x"}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want two mistakes, got %v", err)
	}
}
