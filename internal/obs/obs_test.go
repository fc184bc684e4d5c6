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
	expect("/debug/pprof/cmdline", 404, "Unknown profile")
	expect("/nothing", 404, "")
	ready = errors.New("NATS is away")
	expect("/readyz", 503, "NATS is away")
	expect("/startupz", 200, "ok")
	expect("/livez", 200, "ok")
	ready = nil
	a.Stopping()
	expect("/readyz", 503, "stopping")
}

// TestStartup: what was ready once has started, whatever comes.
func TestStartup(t *testing.T) {
	t.Parallel()
	ready := errors.New("NATS is away")
	live := error(nil)
	a, err := obs.NewAdmin(obs.Config{ReadyTimeout: 1e9}, obs.Deps{
		Ready: func(context.Context) error { return ready }, Live: func(context.Context) error { return live },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		ready, live                    error
		readyCode, startCode, liveCode int
	}{
		{errors.New("NATS is away"), nil, 503, 503, 200},
		{nil, nil, 200, 200, 200},
		{errors.New("NATS is away"), errors.New("hangs"), 503, 200, 503},
	} {
		ready, live = step.ready, step.live
		for path, want := range map[string]int{"/startupz": step.startCode, "/readyz": step.readyCode, "/livez": step.liveCode} {
			if code, body := get(t, a.Handler(), path); code != want {
				t.Errorf("step %d, %s: %d %q, want %d", i, path, code, body, want)
			}
		}
	}
}

// TestDebugRoutes: settings, state, and a log level that can be changed.
func TestDebugRoutes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := obs.NewLogger(&out, "warn", "text")
	if err != nil {
		t.Fatal(err)
	}
	log = log.With("component", "x") // of the same level
	a, err := obs.NewAdmin(obs.Config{ReadyTimeout: 1e9}, obs.Deps{
		Log: log, Settings: func() string { return "a: 1\n" }, State: func(context.Context) any { return map[string]int{"leases": 3} },
		Registry: obs.NewRegistry("v1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := a.Handler()
	for path, want := range map[string]string{
		"/debug/config": "a: 1\n", "/debug/state": "{\n  \"leases\": 3\n}\n", "/debug/loglevel": "warn\n",
	} {
		if code, body := get(t, h, path); code != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, code, body, want)
		}
	}
	put := func(level string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/debug/loglevel", strings.NewReader(level)))
		return w.Code, w.Body.String()
	}
	if code, body := put("loud"); code != 400 || !strings.Contains(body, "want debug") {
		t.Errorf("%d %q", code, body)
	}
	log.Debug("before")
	if code, body := put("debug\n"); code != 200 || body != "debug\n" {
		t.Errorf("%d %q", code, body)
	}
	log.Debug("after")
	if s := out.String(); strings.Contains(s, "before") || !strings.Contains(s, "msg=after") || !strings.Contains(s, "log level changed") {
		t.Errorf("log: %s", s)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	h.ServeHTTP(w, r)
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
		t.Errorf("no OpenMetrics: %s", w.Header().Get("Content-Type"))
	}
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
