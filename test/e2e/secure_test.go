package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	"github.com/weircrawl/weir/internal/testkit/s3test"
	"github.com/weircrawl/weir/internal/testkit/site"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/test/driver"
)

// tokens are what callers of a secure cluster may show.
type tokens struct{ read, submit, admin, ended string }

// newTokens makes a file of tokens.
func newTokens(t *testing.T) (tokens, string) {
	t.Helper()
	all := tokens{access.NewToken(), access.NewToken(), access.NewToken(), access.NewToken()}
	text := "tokens:\n"
	for _, e := range []struct{ name, token, more string }{
		{"reader", all.read, "role: read"}, {"submitter", all.submit, "role: submit"}, {"boss", all.admin, "role: admin"},
		{"gone", all.ended, "role: admin\n    expires: 2020-01-01T00:00:00Z"},
	} {
		text += "  - name: " + e.name + "\n    sha256: " + access.HashOf(e.token).String() + "\n    " + e.more + "\n"
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return all, file
}

// startSecure starts a cluster with everything on.
func startSecure(t *testing.T, cfg driver.ClusterConfig) *driver.Cluster {
	t.Helper()
	c, err := driver.StartCluster(driver.Limit(t, 5*time.Minute), *bin, t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// wantUnhindered checks that no service was refused what it needs: only a scheduler
// tries in vain, once, to declare the streams.
func wantUnhindered(t *testing.T, c *driver.Cluster) {
	t.Helper()
	for _, name := range c.Names() {
		if name == "nats" {
			continue
		}
		log := c.Proc(name).Stderr()
		for line := range strings.Lines(log) {
			if strings.Contains(line, "NATS refuses") || strings.Contains(line, "level=ERROR") {
				t.Errorf("%s: %s", name, line)
			}
		}
		refused, err := c.Metric(t.Context(), name, "weir_bus_refused_total", "")
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(name, "scheduler") && refused > 0 && strings.Contains(log, "may not declare the topology") {
			continue
		}
		if refused != 0 {
			t.Errorf("%s was refused %v times", name, refused)
		}
	}
}

// askWeb makes a request to a console whose certificate the cluster's authority has signed.
func askWeb(t *testing.T, c *driver.Cluster, web, method, path, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, web+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	cl := http.Client{Transport: &http.Transport{TLSClientConfig: believing(t, c, nil), DisableKeepAlives: true}}
	resp, err := cl.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// withToken calls a scheduler over TLS with a token and no certificate.
func withToken(t *testing.T, c *driver.Cluster, scheduler, token string, call func(context.Context, schedulerv1.CrawlServiceClient) error) error {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+c.Addr(scheduler), grpc.WithTransportCredentials(credentials.NewTLS(believing(t, c, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return call(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), schedulerv1.NewCrawlServiceClient(cc))
}

// TestSecureCluster: mTLS everywhere, a NATS user for each service, tokens. A crawl runs
// to its end while the certificates of all, and their authority, are replaced and the
// NATS server starts anew; then each forbidden thing is refused.
func TestSecureCluster(t *testing.T) {
	t.Parallel()
	all, file := newTokens(t)
	// The latency has the crawl last for a minute, so that it does not end among the steps.
	s := startSite(t, "-hosts", "4", "-pages", "60", "-links", "20", "-page-bytes", "400000", "-cross-every", "4", "-latency", "1s")
	c := startSecure(t, driver.ClusterConfig{
		Secure: driver.ByCertificate, Fetchers: 2,
		// Storage takes no tokens, so that callers without a certificate do not get in.
		More: map[string][]string{"scheduler": {"--access.tokens-file", file}},
	})
	ctx := driver.Limit(t, 5*time.Minute)
	// Pages longer than what fits into a message go from fetcher to storage, and from there
	// to the parser, by gRPC.
	id, err := c.Submit(ctx, driver.Job{Spec: specFor(s, "politeness: {delay: 100ms}")})
	if err != nil {
		t.Fatal(err)
	}
	done := func() uint64 {
		t.Helper()
		sum, err := c.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return sum.Ledger.Done
	}
	for i, step := range []func() error{
		func() error { return c.Renew(ctx) },
		func() error { return c.Renew(ctx, "--new-authority") },
		func() error { return c.Renew(ctx) },
		func() error { return c.Renew(ctx, "--forget-old") },
		// All connect to it again, as those whose authority is the new one.
		func() error { return c.Proc("nats").Stop(20 * time.Second) },
		func() error { return c.Start("nats") },
		func() error { return c.Proc("parser-1").Kill() },
		func() error { return c.Start("parser-1") },
	} {
		before := done()
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if i == 4 || i == 6 {
			continue // nothing goes on before the next step
		}
		if err := driver.Await(ctx, "further pages", func() (bool, error) { return done() > before, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := done(); n >= 240 {
		t.Errorf("all %d pages were done before the last step: the crawl is too fast for this test", n)
	}
	if err := s.Set(ctx, site.Behaviour{}); err != nil { // the rest need not take its time
		t.Fatal(err)
	}
	res, err := c.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	want := pages(s, 60)
	wantOnce(t, "items", want, driver.CountURLs(res.Items))
	stats, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantOnce(t, "requests", want, stats.Requests())
	if sum := res.Summary; sum.State != "finished" || sum.Ledger.Done != 240 || sum.Ledger.Failed != 0 {
		t.Errorf("summary %+v", sum)
	}
	wantUnhindered(t, c)
	for _, name := range []string{"scheduler", "storage", "fetcher-1"} {
		n, err := c.Metric(ctx, name, "weir_tls_reloads_total", "")
		if err != nil || n < 2 {
			t.Errorf("%s took up %v certificates, %v", name, n, err)
		}
		if n, err := c.Metric(ctx, name, "weir_tls_certificate_expiry_timestamp_seconds", `use="grpc"`); err != nil || n < float64(time.Now().Unix()) {
			t.Errorf("%s: its certificate ends at %v, %v", name, n, err)
		}
	}
	t.Run("refusals", func(t *testing.T) {
		t.Run("gRPC", func(t *testing.T) { refusedCalls(t, c, all) })
		t.Run("NATS", func(t *testing.T) { refusedOnNATS(t, c) })
	})
}

// forwardedCalls makes calls at both schedulers.
func forwardedCalls(t *testing.T, c *driver.Cluster, id string, all tokens) {
	t.Helper()
	ctx := t.Context()
	// One of the two owns the crawl, and the other passes calls on to it, for people with a
	// certificate and for those with a token.
	for _, scheduler := range []string{"scheduler-1", "scheduler-2"} {
		c.Ask(scheduler)
		for _, command := range []string{"pause", "resume"} {
			if _, err := c.Weir(ctx, command, id); err != nil {
				t.Errorf("%s at %s: %v", command, scheduler, err)
			}
		}
		if err := withToken(t, c, scheduler, all.submit, func(ctx context.Context, cc schedulerv1.CrawlServiceClient) error {
			_, err := cc.PauseCrawl(ctx, &schedulerv1.PauseCrawlRequest{Crawl: id})
			return err
		}); err != nil {
			t.Errorf("a token at %s: %v", scheduler, err)
		}
	}
}

// refusedOnTheWeb asks by REST, through a console that has a certificate of its own.
func refusedOnTheWeb(t *testing.T, c *driver.Cluster, id string, all tokens) {
	web, err := c.Console(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		method, path, token string
		status              int
		has                 string
	}{
		{http.MethodGet, "/api/v1/crawls", all.read, http.StatusOK, id},
		{http.MethodGet, "/api/v1/crawls/" + id + "/items", all.read, http.StatusOK, "Page 7"},
		{http.MethodGet, "/api/v1/crawls", "", http.StatusForbidden, ""}, // what a console may by itself
		{http.MethodGet, "/api/v1/crawls", "weir_guess", http.StatusUnauthorized, ""},
		{http.MethodGet, "/api/v1/crawls", all.ended, http.StatusUnauthorized, ""},
		{http.MethodDelete, "/api/v1/crawls/" + id, all.submit, http.StatusForbidden, ""},
		{http.MethodPost, "/api/v1/crawls/" + id + "/pause", all.read, http.StatusForbidden, ""},
	} {
		status, body := askWeb(t, c, web, r.method, r.path, r.token)
		if status != r.status || !strings.Contains(body, r.has) {
			t.Errorf("%s %s: %d, want %d: %.300s", r.method, r.path, status, r.status, body)
		}
		if r.status != http.StatusOK && strings.Contains(body, id) {
			t.Errorf("%s %s: the refusal names the crawl: %.300s", r.method, r.path, body)
		}
	}
}

// TestSecureClusterWithPasswords: NATS users with passwords, and secrets of every other
// kind: none of them is in a log, an answer or an error, also when everything is lost.
func TestSecureClusterWithPasswords(t *testing.T) {
	t.Parallel()
	all, file := newTokens(t)
	s := startSite(t, "-pages", "20")
	database, objects := pgtest.Start(t, pgtest.Options{}), s3test.Start(t)
	withPassword := func(dsn string) string { return dsn + "&password=s3cret-of-database" }
	c := startSecure(t, driver.ClusterConfig{
		Secure: driver.ByPassword, Schedulers: 2, Store: withPassword(database.Database(t)), Catalogue: withPassword(database.Database(t)),
		More: map[string][]string{
			"scheduler": {"--access.tokens-file", file, "--log.level", "debug"},
			"storage":   {"--access.tokens-file", file, "--log.level", "debug", "--archive", objects.URL("x"), "--storage.replica", "one"},
			"fetcher":   {"--log.level", "debug"}, "parser": {"--log.level", "debug", "--log.format", "json"},
		},
		Env: []string{
			"AWS_ACCESS_KEY_ID=s3cret-id", "AWS_SECRET_ACCESS_KEY=s3cret-key", "WEIR_SECRET_LOGIN=s3cret-login",
		},
	})
	ctx := driver.Limit(t, 5*time.Minute)
	spec := specFor(s, fast, "fetch: {headers: {x-login: \"{WEIR_SECRET_LOGIN}\"}}")
	id, err := c.Open(ctx, driver.Job{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	forwardedCalls(t, c, id, all)
	for _, command := range []string{"resume", "close"} {
		if _, err := c.Weir(ctx, command, id); err != nil {
			t.Fatal(err)
		}
	}
	res, err := c.Finish(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	wantOnce(t, "items", pages(s, 20), driver.CountURLs(res.Items))
	wantUnhindered(t, c)
	t.Run("refusals", func(t *testing.T) { refusedPasswords(t, c) })
	t.Run("web", func(t *testing.T) { refusedOnTheWeb(t, c, id, all) })
	nothingShows(t, c, s, id, all, database.Dir(), objects)
}

// nothingShows looks for secrets in what the services say, also of mistakes and when
// their parts are gone. It ends the cluster.
func nothingShows(t *testing.T, c *driver.Cluster, s *driver.Site, id string, all tokens, socket string, objects *s3test.Server) {
	t.Helper()
	ctx := driver.Limit(t, 5*time.Minute)
	var told []string
	tell := func(text string, err error) {
		_, said, _ := strings.Cut(fmt.Sprint(err), "\n") // after the command itself
		told = append(told, text, said)
	}
	for _, args := range [][]string{
		{"ls", "--json"}, {"status", id, "--json"}, {"explain", id, s.Info.Seeds[0]},
		{"migrate", "--store", "postgres://weir:s3cret%zz@127.0.0.1:1/x"},
		{"migrate", "--store", "postgres:///none?user=weir&password=s3cret&host=" + socket},
		{"storage", "--data", "d", "--catalogue", "mysql://weir:s3cret@x/y"},
		{"fetcher", "--nats", "nats://weir:s3cret%zz@x:1"},
		{"fetcher", "--nats", "nats://s3cret@127.0.0.1:1", "--nats.connect-timeout", "1s"},
		{"topology", "apply", "--nats", "nats://weir:s3cret@" + c.NATS(), "--nats.connect-timeout", "1s"},
	} {
		tell(c.Weir(ctx, args...))
	}
	for _, name := range c.Names() {
		if name != "nats" && name != "console" {
			tell(c.Debug(ctx, name))
		}
	}
	// What they say when their parts are gone.
	objects.Fail(func(*http.Request) s3test.Fault { return s3test.Refused })
	if err := c.Proc("nats").Kill(); err != nil {
		t.Fatal(err)
	}
	err := driver.Await(ctx, "the services notice", func() (bool, error) {
		for _, name := range []string{"scheduler-1", "scheduler-2", "storage-1", "fetcher-1", "parser-1"} {
			if !strings.Contains(c.Proc(name).Stderr(), "lost the connection to NATS") {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tell(c.Weir(ctx, "ls"))
	tell(c.Weir(ctx, "pages", id))
	for _, name := range c.Names() {
		tell(c.Proc(name).Stderr(), nil)
		tell(c.Proc(name).Stdout(), nil)
	}
	for _, name := range c.Names() { // without NATS they would take their time to stop
		if err := c.Proc(name).Kill(); err != nil {
			t.Error(err)
		}
	}
	text := strings.Join(told, "\n")
	for _, secret := range []string{"s3cret", all.read, all.submit, all.admin, all.ended} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("a secret shows: …%s…", text[max(0, i-300):min(len(text), i+100)])
		}
	}
	if len(text) < 10_000 {
		t.Errorf("only %d bytes were looked at", len(text))
	}
}
