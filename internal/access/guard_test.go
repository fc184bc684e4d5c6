package access_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/access"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func writeTokens(t *testing.T, path, role string, names ...string) {
	t.Helper()
	text := "tokens:\n"
	for _, n := range names {
		text += fmt.Sprintf("  - {name: %s, sha256: %s, role: %s}\n", n, access.HashOf("token-of-"+n), role)
	}
	// As an editor or Kubernetes does: another file under the same name.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A token counts from the time that it is in the file, and no longer than it is there; a
// file that became wrong changes nothing.
func TestFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	writeTokens(t, path, "read", "a")
	now := time.Now()
	var log bytes.Buffer
	cfg := access.DefaultConfig()
	cfg.TokensFile = path
	g, err := access.New(cfg, access.Deps{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	code := func(name, method string) codes.Code {
		_, err := g.Begin(bearing("token-of-"+name), method)
		return status.Code(err)
	}
	step := func(what string, want ...codes.Code) {
		t.Helper()
		now = now.Add(2 * time.Second)
		got := []codes.Code{code("a", reading), code("b", reading), code("b", writing)}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	step("one token", codes.OK, codes.Unauthenticated, codes.Unauthenticated)
	writeTokens(t, path, "read", "a", "b")
	step("another one", codes.OK, codes.OK, codes.PermissionDenied)
	writeTokens(t, path, "submit", "b")
	step("taken back, and a greater role", codes.Unauthenticated, codes.OK, codes.OK)
	if err := os.WriteFile(path, []byte("tokens: [nonsense]"), 0o600); err != nil {
		t.Fatal(err)
	}
	step("a wrong file", codes.Unauthenticated, codes.OK, codes.OK)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("no file", codes.Unauthenticated, codes.OK, codes.OK)
	writeTokens(t, path, "read", "a")
	step("a file again", codes.OK, codes.Unauthenticated, codes.Unauthenticated)
	if text := log.String(); strings.Count(text, "cannot be read") != 1 || strings.Count(text, "read the file of tokens again") != 3 || strings.Contains(text, "nonsense") {
		t.Errorf("log:\n%s", text)
	}
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o440: true, 0o644: true, 0o660: false, 0o666: false, 0o602: false} {
		path := filepath.Join(t.TempDir(), "tokens.yaml")
		writeTokens(t, path, "read", "a")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		cfg := access.DefaultConfig()
		cfg.TokensFile = path
		_, err := access.New(cfg, access.Deps{})
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	cfg := access.DefaultConfig()
	cfg.TokensFile = filepath.Join(t.TempDir(), "missing")
	if _, err := access.New(cfg, access.Deps{}); err == nil {
		t.Error("a missing file was passed over")
	}
}

// Without tokens, an issuer and an authority of clients everybody may do everything.
func TestOpen(t *testing.T) {
	t.Parallel()
	g, err := access.New(access.DefaultConfig(), access.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.Begin(t.Context(), deleting)
	if err != nil || !g.Open() || access.From(c.Context()).Owner() != "" {
		t.Errorf("open %v, %v", g.Open(), err)
	}
	c.End(nil, codes.OK)
	if closed, err := access.New(access.DefaultConfig(), access.Deps{ClientCA: true}); err != nil || closed.Open() || closed.Users() {
		t.Errorf("with an authority of clients: %v", err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	writeTokens(t, path, "read", "a")
	cfg := access.DefaultConfig()
	cfg.TokensFile = path
	reg := prometheus.NewRegistry()
	g, err := access.New(cfg, access.Deps{Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		values []string
		ok     bool
	}{
		"bearer":         {[]string{"Bearer token-of-a"}, true},
		"any case":       {[]string{"bEARER  token-of-a"}, true},
		"twice":          {[]string{"Bearer token-of-a", "Bearer token-of-a"}, false},
		"basic":          {[]string{"Basic token-of-a"}, false},
		"no scheme":      {[]string{"token-of-a"}, false},
		"no token":       {[]string{"Bearer "}, false},
		"beginning":      {[]string{"Bearer token-of-"}, false},
		"the hash":       {[]string{"Bearer " + access.HashOf("token-of-a").String()}, false},
		"very long":      {[]string{"Bearer " + strings.Repeat("a", 1<<20)}, false},
		"no header":      {nil, false},
		"empty header":   {[]string{""}, false},
		"with a newline": {[]string{"Bearer token-of-a\n"}, true}, // gRPC lets no such header through
	} {
		md := metadata.MD{}
		md.Set("authorization", tc.values...)
		_, err := g.Begin(metadata.NewIncomingContext(t.Context(), md), reading)
		if tc.ok != (err == nil) || err != nil && status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := g.Begin(bearing("token-of-a"), "/weir.scheduler.v1.CrawlService/NoSuch"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a method without a rule: %v", err)
	}
	want := `# HELP weir_access_refusals_total Calls that were refused, by reason: unauthenticated (a token that nobody knows, or none; many of them are somebody who tries), denied (the role, or what a spec may use), quota (a caller does too much; see its quotas in the file of tokens).
# TYPE weir_access_refusals_total counter
weir_access_refusals_total{reason="denied"} 1
weir_access_refusals_total{reason="quota"} 0
weir_access_refusals_total{reason="unauthenticated"} 9
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// An audit log that cannot be written says its lines in the program's log; calls of
// strangers cannot flood it.
func TestAuditWithoutADisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := access.DefaultConfig()
	cfg.AuditFile = filepath.Join(dir, "sub", "audit.log")
	if _, err := access.New(cfg, access.Deps{}); err == nil {
		t.Fatal("an audit log in no folder was passed over")
	}
	if err := os.Mkdir(filepath.Dir(cfg.AuditFile), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now := time.Now()
	g, err := access.New(cfg, access.Deps{ClientCA: true, Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := g.Begin(t.Context(), writing); status.Code(err) != codes.Unauthenticated {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	_, _ = g.Begin(t.Context(), writing)
	data, err := os.ReadFile(cfg.AuditFile)
	if err != nil || bytes.Count(data, []byte("\n")) != 11 || !bytes.Contains(data, []byte(`"like_it_before":990`)) {
		t.Errorf("%v; %s", err, data)
	}
	if err := os.RemoveAll(filepath.Dir(cfg.AuditFile)); err != nil {
		t.Fatal(err)
	}
	_, _ = g.Begin(t.Context(), writing)
	if text := log.String(); !strings.Contains(text, "the audit log cannot be written") || !strings.Contains(text, "CrawlService/PauseCrawl") {
		t.Errorf("log: %s", text)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		patterns []string
		text     string
		want     bool
	}{
		{nil, "anything", true},
		{[]string{}, "anything", false},
		{access.OnlyThese(nil), "anything", false},
		{[]string{"*"}, "", true},
		{[]string{"WEIR_SECRET_SHOP_*"}, "WEIR_SECRET_SHOP_KEY", true},
		{[]string{"WEIR_SECRET_SHOP_*"}, "WEIR_SECRET_SHOPPING", false},
		{[]string{"a", "re:^b[0-9]$"}, "b7", true},
		{[]string{"a", "re:^b[0-9]$"}, "b77", false},
		{[]string{"extractor:9000"}, "extractor:9000.evil.test", false},
	} {
		if got := access.Allowed(tc.patterns, tc.text); got != tc.want {
			t.Errorf("Allowed(%q, %q) = %v", tc.patterns, tc.text, got)
		}
	}
}

func TestAdmitCrawl(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration, over bool) access.Owned { return access.Owned{Created: now.Add(-d), Over: over} }
	c := access.Caller{Name: "c", Role: access.Submit, Quotas: access.Quotas{CrawlsRunning: 2, CrawlsPerDay: 3}}
	for _, tc := range []struct {
		name  string
		owned []access.Owned
		text  string
		wait  time.Duration
	}{
		{"none", nil, "", 0},
		{"old ones that have ended", []access.Owned{ago(25*time.Hour, true), ago(48*time.Hour, true), ago(24*time.Hour, true), ago(72*time.Hour, true)}, "", 0},
		{"one runs", []access.Owned{ago(time.Hour, false), ago(time.Hour, true)}, "", 0},
		{"two run", []access.Owned{ago(90*time.Hour, false), ago(time.Hour, false)}, "c has 2 crawls that have not ended, and may have 2", 0},
		{"three today", []access.Owned{ago(time.Hour, true), ago(20*time.Hour, true), ago(2*time.Hour, true)}, "come again in 4h0m0s", 4 * time.Hour},
	} {
		err := c.AdmitCrawl(now, tc.owned)
		if (err != nil) != (tc.text != "") || err != nil && (status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), tc.text)) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if wait, _ := access.RetryAfter(err); err != nil && wait != tc.wait {
			t.Errorf("%s: wait %s", tc.name, wait)
		}
	}
}

// A caller that was away gets its burst, not all the time that it was away.
func TestBurst(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	text := fmt.Sprintf("tokens: [{name: a, sha256: %s, role: submit, quotas: {urls-per-minute: 60, requests-per-second: 3}}]", access.HashOf("token-of-a"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cfg := access.DefaultConfig()
	cfg.TokensFile = path
	g, err := access.New(cfg, access.Deps{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, pause := range []time.Duration{0, time.Hour} {
		now = now.Add(pause)
		admitted := 0
		for range 10 {
			if c, err := g.Begin(bearing("token-of-a"), writing); err == nil {
				admitted++
				if err := c.Message(&schedulerv1.AddURLsRequest{Urls: make([]string, 20)}); err != nil {
					t.Errorf("after %s: %v", pause, err)
				}
			}
		}
		if admitted != 3 {
			t.Errorf("after %s: %d calls at once, want 3", pause, admitted)
		}
	}
}
