package render

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

// running returns the browser that takes new pages, once there is one.
func running(t *testing.T, p *Pool) *browser {
	t.Helper()
	for t.Context().Err() == nil {
		p.mu.Lock()
		b := p.current
		p.mu.Unlock()
		if b != nil {
			return b
		}
		_ = sleep(t.Context(), time.Millisecond)
	}
	t.Fatal("no browser was started")
	return nil
}

// TestKilled: a browser that is killed costs its pages nothing but time, and leaves
// neither processes nor its profile behind.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/data.json": `"shown"`})
	p := pool(t, nil)
	var killed sync.Once
	victim := make(chan *process, 1)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		killed.Do(func() {
			b := running(t, p)
			victim <- b.process
			// As an operator or the kernel would: the rest of it finds out by itself.
			_ = b.cmd.Process.Kill()
		})
		return plain(ctx, network, address)
	}
	body := `<body><script>fetch("/data.json").then(r => r.json()).then(x => document.body.append(x))</script>`
	out := show(t, p, pageOf(s, "/", body, func(p *Page) { p.Dial = dial }))
	if !strings.Contains(string(out.HTML), "shown") {
		t.Errorf("document:\n%s", out.HTML)
	}
	gone := <-victim
	<-gone.gone
	if pids := left(gone); len(pids) > 0 {
		t.Errorf("left behind: %v", pids)
	}
	if _, err := os.Stat(gone.profile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its profile: %v", err)
	}
	p.Close()
	c := p.Counts()
	if c.Started.Load() != 2 || c.Crashed.Load() != 1 || c.Retried.Load() != 1 {
		t.Errorf("%d browsers started, %d crashed, %d pages shown again; want 2, 1, 1", c.Started.Load(), c.Crashed.Load(), c.Retried.Load())
	}
}

// TestCrashes: a page that crashes whatever shows it fails, and the others are shown.
func TestCrashes(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/data.json": "1"})
	p := pool(t, nil)
	var killing sync.Mutex
	enough := false
	crash := func(ctx context.Context, network, address string) (net.Conn, error) {
		killing.Lock()
		defer killing.Unlock()
		for pid := range processes() {
			if enough {
				break
			}
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if g, gerr := syscall.Getpgid(pid); err == nil && gerr == nil && g == running(t, p).cmd.Process.Pid && strings.Contains(string(line), "--type=renderer") {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return plain(ctx, network, address)
	}
	_, err := p.Show(t.Context(), pageOf(s, "/", `<script>fetch("/data.json")</script>`, func(p *Page) { p.Dial = crash }))
	if !errors.Is(err, ErrCrashed) {
		t.Errorf("a page that crashes: %v", err)
	}
	killing.Lock() // the next page may get a process that was about to be killed
	enough = true
	killing.Unlock()
	if out := show(t, p, pageOf(s, "/", "<p>the next", nil)); !strings.Contains(string(out.HTML), "the next") {
		t.Errorf("document:\n%s", out.HTML)
	}
	if c := p.Counts(); c.Started.Load() != 1 || c.Retried.Load() != 1 {
		t.Errorf("%d browsers started, %d pages shown again; want 1, 1", c.Started.Load(), c.Retried.Load())
	}
}

// TestRecycled: browsers are replaced after so many pages, and when they have grown.
func TestRecycled(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, func(c *Config) { c.RecyclePages = 2 })
	var first *browser
	for i := range 4 {
		show(t, p, pageOf(s, "/", "<p>x", nil))
		if i == 0 {
			first = running(t, p)
		}
	}
	if n := p.Counts().Started.Load(); n != 2 {
		t.Errorf("%d browsers for 4 pages, 2 each", n)
	}
	<-first.gone
	if pids := left(first.process); len(pids) > 0 || len(first.strays) == 0 {
		t.Errorf("left behind: %v, strays %v", pids, first.strays)
	}
	show(t, p, pageOf(s, "/", "<p>x", nil))
	held := p.Memory()
	small := pool(t, func(c *Config) { c.RecycleMemory = held * 3 / 4 })
	// One that has just begun may hold less than one that has been there for a while.
	for n := 0; n < 20 && small.Counts().Recycled.Load() == 0; n++ {
		show(t, small, pageOf(s, "/", "<p>x", nil))
	}
	if small.Counts().Recycled.Load() != 1 {
		t.Error("a browser beyond its memory was kept")
	}
}

// TestIdle: a browser without pages ends after a while, and comes back.
func TestIdle(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, func(c *Config) { c.Idle = time.Millisecond })
	for range 2 {
		show(t, p, pageOf(s, "/", "<p>x", nil))
		for p.Memory() > 0 && t.Context().Err() == nil {
			_ = sleep(t.Context(), time.Millisecond)
		}
	}
	if n := p.Counts().Started.Load(); n != 2 {
		t.Errorf("%d browsers started", n)
	}
}

// TestNoBrowser: what is wrong with the program is said.
func TestNoBrowser(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	broken := filepath.Join(t.TempDir(), "browser")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho no display >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/nonexistent/chromium": "/nonexistent/chromium", broken: "no display"} {
		p := pool(t, func(c *Config) { c.Path = path })
		_, err := p.Show(t.Context(), pageOf(s, "/", "x", nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", path, err, want)
		}
	}
}

// TestStop: a pool that is closed leaves nothing, also of a page that was given up.
func TestStop(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	p := pool(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := p.Show(ctx, pageOf(s, "/", "<p>x", func(p *Page) { p.Steps = []Step{{Pause: time.Minute}} }))
		over <- err
	}()
	b := running(t, p)
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	p.Close()
	if err := syscall.Kill(-b.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the browser's processes: %v", err)
	}
	if _, err := os.Stat(b.profile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its profile: %v", err)
	}
	if _, err := p.Show(t.Context(), pageOf(s, "/", "<p>x", nil)); err == nil {
		t.Error("a closed pool shows pages")
	}
}

// TestGuard: by no way does a page reach what may not be dialled: every one of them
// ends at the dialler, or nowhere.
func TestGuard(t *testing.T) {
	t.Parallel()
	secret := serve(t, map[string]string{"/secret": "secret", "/secret.js": "document.body.append('secret')", "/": "secret"})
	s := serve(t, map[string]string{"/worker.js": `fetch(location.hash.slice(1)).then(r => r.text()).then(x => postMessage(x), e => postMessage("refused"))`,
		"/frame": `<p>frame<script>fetch("` + secret.URL + `/secret", {mode: "no-cors"}).then(() => parent.postMessage("reached", "*"), () => parent.postMessage("refused", "*"))</script>`})
	port := secret.URL[strings.LastIndexByte(secret.URL, ':')+1:]
	allowed := netip.MustParsePrefix("127.0.0.2/32") // not where the secret is
	g := guard.New([]netip.Prefix{allowed})
	var asked sync.Map
	siteAddr := strings.TrimPrefix(s.URL, "http://")
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, p, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		asked.Store(address, true)
		if host == "site.example" || host == "other.example" {
			return plain(ctx, network, siteAddr)
		}
		if host == "secret.example" {
			host = "127.0.0.1"
		}
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return nil, err
		}
		if err := g.Check(addr); err != nil {
			return nil, err
		}
		return plain(ctx, network, net.JoinHostPort(host, p))
	}
	var b strings.Builder
	b.WriteString("<!doctype html><body>")
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "secret.example", "127.0.0.1.", "169.254.169.254"} {
		for _, scheme := range []string{"http", "https"} {
			u := fmt.Sprintf("%s://%s:%s", scheme, host, port)
			fmt.Fprintf(&b, `<script>fetch("%[1]s/secret", {mode: "no-cors"}).then(() => document.body.append("reached"), () => {})</script>
				<script src="%[1]s/secret.js"></script><iframe src="%[1]s/secret"></iframe><link rel=preload as=script href="%[1]s/secret.js">
				<script>navigator.sendBeacon("%[1]s/secret"); new WebSocket("ws%[2]s://%[3]s:%[4]s/secret"); new EventSource("%[1]s/secret")</script>`, u, scheme[4:], host, port)
		}
	}
	b.WriteString(`<link rel=dns-prefetch href="//secret.example"><link rel=preconnect href="http://127.0.0.1:` + port + `">
		<iframe src="http://other.example/frame"></iframe><script>
		new Worker("/worker.js#http://127.0.0.1:` + port + `/secret").onmessage = e => document.body.append("worker: " + e.data);
		new Worker(URL.createObjectURL(new Blob(["fetch('http://127.0.0.1:` + port + `/secret').then(r => postMessage('reached'), () => 0)"])));
		onmessage = e => document.body.append("frame: " + e.data);
		const rtc = new RTCPeerConnection({iceServers: [{urls: "stun:127.0.0.1:` + port + `"}]}); rtc.createDataChannel("x"); rtc.createOffer().then(o => rtc.setLocalDescription(o));
		fetch("file:///etc/passwd").then(() => document.body.append("reached"), () => {});
		</script>`)
	page := pageOf(s, "/", b.String(), func(p *Page) {
		p.URL, p.Dial, p.MaxRequests = "http://site.example/", dial, 2000
	})
	out := show(t, shared(t), page)
	html := string(out.HTML)
	said := html[strings.LastIndex(html, "</script>"):]
	if strings.Contains(said, "reached") || strings.Contains(said, "secret") || len(secret.asked) > 0 {
		t.Errorf("the secret was reached: %v\n%s", secret.asked, said)
	}
	if _, ok := asked.Load("127.0.0.1:" + port); !ok {
		t.Error("nothing asked for the secret: the test does not test")
	}
	if !strings.Contains(said, "frame: refused") {
		t.Errorf("the frame of another site did not run, or not through the guard")
	}
}
