package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// server is a `weir up` inside the test.
type server struct {
	addr string
	log  func() string
	stop func() result
}

// startUp starts one and waits until it answers.
func startUp(t *testing.T, dir string, more ...string) *server {
	t.Helper()
	ctx, interrupt := interruptible(t)
	var stdout, stderr buffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(Env{
			Args: append([]string{
				"up", "--data", filepath.Join(dir, "up"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--console-listen", "127.0.0.1:0",
				"--allow-net", "127.0.0.0/8", "--storage.min-free", "0",
			}, more...),
			Environ: []string{"WEIR_LOG_FORMAT=json", "WEIR_SERVER=ignored"},
			Stdin:   strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Version: "v1.2.3", Context: ctx,
		})
	}()
	addr := regexp.MustCompile(`"weir is up".*"grpc":"([^"]+)"`)
	s := &server{}
	await(t, "the server", func() bool {
		if m := addr.FindStringSubmatch(stderr.String()); m != nil {
			s.addr = m[1]
		}
		return s.addr != "" || len(ended) > 0
	})
	if s.addr == "" {
		t.Fatalf("the server ended: %s", stderr.String())
	}
	s.log = stderr.String
	s.stop = func() result {
		interrupt()
		return result{<-ended, stdout.String(), stderr.String()}
	}
	if len(more) == 0 { // else not everybody gets one
		await(t, "an answer", func() bool { return weir(t, "ls", "--server", s.addr).code == 0 })
	}
	return s
}

// TestUp drives a server with all client commands.
func TestUp(t *testing.T) {
	t.Parallel()
	site, dir := newSite(t, 30), t.TempDir()
	s := startUp(t, dir)
	call := func(args ...string) result {
		t.Helper()
		return weir(t, append(args, "--server", s.addr)...)
	}
	ok := func(want string, args ...string) string {
		t.Helper()
		got := call(args...)
		if got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Fatalf("weir %s: exit code %d, %s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
		}
		return strings.TrimSpace(got.stdout)
	}
	id := ok("", append([]string{"submit", site.URL + "/p/9", "--set", "name=tree"}, eager()...)...)
	if len(id) != 26 {
		t.Fatalf("id %q", id)
	}
	ok(id, "ls")
	ok(`"id":"`+id+`"`, "ls", "--json")
	ok(id+" paused", "pause", "tree")
	ok(id+" running", "resume", "tree")
	ok("added 1, known 1, refused 0", "add", "tree", site.seed(), site.URL+"/p/9")
	if got := weirWith(t, t.Context(), site.seed()+"\nftp://other.example/\n", "add", id, "-", "--server", s.addr); got.code != 0 ||
		!strings.Contains(got.stdout, "known 1, refused 1") || !strings.HasPrefix(got.stderr, "weir: refused ftp://other.example/: ") {
		t.Errorf("add -: %+v", got)
	}
	ok(id+" closing", "close", id)
	ok("finished after", "wait", id)
	ok("finished after", "watch", id)
	sum := parse(t, call("status", "tree", "--json"))
	if sum.State != "finished" || sum.Pages != 30 || sum.Crawl != id || !balanced(sum.Ledger) {
		t.Errorf("summary %+v", sum)
	}
	if n := strings.Count(ok("", "items", id)+"\n", "\n"); n != 30 {
		t.Errorf("%d items", n)
	}
	if n := strings.Count(ok("", "items", id, "--follow")+"\n", "\n"); n != 30 {
		t.Errorf("%d items followed", n)
	}
	ok(`"_rule":"page"`, "items", id, "--limit", "1")
	ok(" 200 ", "pages", id)
	ok(`"status":200`, "pages", id, "--json", "--limit", "3")
	ok("<title>Page 7</title>", "body", id, site.URL+"/p/7")
	ok("30 items in ", "export", id, "-o", filepath.Join(dir, "x.csv"))
	ok("Page 7", "explain", id, site.URL+"/p/7")
	ok("not known", "explain", id, "https://other.example/")
	ok("done    200 ", "urls", id, "--state", "done", "--limit", "3")
	ok(site.URL, "hosts", id)
	ok("slowly", "host", site.URL, "--delay", "3s", "--note", "slowly")
	ok(`"note":"slowly"`, "host", site.URL, "--concurrency", "1", "--json")
	ok("idle", "host", site.URL, "--clear", "--reset")
	ok("", "dead", id)
	if got := call("delete", id); got.code != 2 || got.stderr != "weir: there is nobody to ask: add --yes\n" {
		t.Errorf("delete without a terminal: %+v", got)
	}
	if got := call("host", "nowhere"); got.code != 2 || !strings.Contains(got.stderr, "https://shop.example") {
		t.Errorf("host without a scheme: %+v", got)
	}
	var known schedulerv1.ExplainURLResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(ok("", "explain", id, site.URL+"/p/7", "--json")), &known); err != nil || known.GetState() != schedulerv1.URLState_URL_STATE_DONE {
		t.Errorf("explain: %v, %v", &known, err)
	}
	ok("< HTTP/1.1 200", "fetch", site.seed())
	if got := call("status", "nope"); got.code != 1 || got.stderr != "weir: no crawl has the id or name \"nope\"\n" {
		t.Errorf("no such crawl: %+v", got)
	}
	if got := call("add", id, site.seed()); got.code != 1 || !strings.Contains(got.stderr, "takes no more URLs") {
		t.Errorf("add to a crawl that is over: %+v", got)
	}
	open := ok("", append([]string{"submit", site.seed(), "--set", "name=open"}, eager()...)...)
	if got := call("wait", open, "--timeout", "10ms"); got.code != 1 || !strings.Contains(got.stderr, "is still running after 10ms") || !strings.Contains(got.stderr, "weir close "+open) {
		t.Errorf("wait with a timeout: %+v", got)
	}
	ok(open+" cancelled", "cancel", open)
	if got := call("wait", open, "--json"); got.code != 1 || !json.Valid([]byte(got.stdout)) {
		t.Errorf("wait for a cancelled crawl: %+v", got)
	}
	ok(open+" deleted", "delete", open, "--yes")
	if got := s.stop(); got.code != 0 && got.code != 130 {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// TestOneAtATime: a data directory has one process.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startUp(t, dir)
	defer s.stop()
	got := weir(t, "up", "--data", filepath.Join(dir, "up"), "--listen", "127.0.0.1:0", "--admin-listen", "", "--console-listen", "")
	if got.code != 1 || !strings.Contains(got.stderr, filepath.Join(dir, "up")+" is in use by another weir") {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
	got = weir(t, "up", "--data", filepath.Join(dir, "up2"), "--listen", s.addr, "--admin-listen", "", "--console-listen", "")
	if got.code != 1 || !strings.Contains(got.stderr, s.addr) || !strings.Contains(got.stderr, "in use") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("exit code %d, %s", got.code, got.stderr)
	}
}
