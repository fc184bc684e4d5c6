package render

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/cdp"
)

// closeTime is how long a browser may take to end when it is asked to.
const closeTime = 3 * time.Second

// process is one run of the browser's program with everything that it starts, and
// the folder with its profile.
type process struct {
	cmd     *exec.Cmd
	conn    *cdp.Conn
	profile string
	in      io.Closer // what the browser reads: it ends when this is closed
	last    tail
	strays  []int         // those of its processes that are in no group of ours
	gone    chan struct{} // closed when all of it is over
}

// arguments are those of a browser that shows pages to nobody: all its traffic goes
// through the proxy, it keeps nothing, and does nothing on its own.
func arguments(proxy, profile string, noSandbox bool) []string {
	args := []string{
		"--headless", "--remote-debugging-pipe", "--user-data-dir=" + profile,
		// The one way to the network. Nothing is looked up here, and nothing goes round.
		"--proxy-server=http://" + proxy, "--proxy-bypass-list=<-loopback>",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--disable-quic", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--dns-prefetch-disable",
		// What a browser does for its user and not for a page.
		"--disable-background-networking", "--disable-component-update", "--disable-component-extensions-with-background-pages",
		"--disable-sync", "--disable-extensions", "--disable-default-apps", "--disable-domain-reliability", "--disable-client-side-phishing-detection",
		"--disable-breakpad", "--disable-crash-reporter", "--no-first-run", "--no-default-browser-check", "--no-pings",
		"--disable-search-engine-choice-screen", "--deny-permission-prompts", "--block-new-web-contents", "--disable-prompt-on-repost",
		"--password-store=basic", "--use-mock-keychain", "--metrics-recording-only", "--mute-audio", "--hide-scrollbars",
		// Several pages are shown at a time and none of them is in the background.
		"--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
		"--disable-ipc-flooding-protection",
		// A page and its frames are one process and one session: frames of other sites
		// pass the same interception, and a context has no other site's data to steal.
		"--disable-site-isolation-trials",
		"--disable-features=IsolateOrigins,site-per-process,IsolateSandboxedIframes,Translate,MediaRouter,OptimizationHints," +
			"AutofillServerCommunication,CertificateTransparencyComponentUpdater,Prerender2,BackForwardCache,InterestFeedContentSuggestions",
		"--js-flags=--max-old-space-size=512",
		// Containers have 64 MiB of shared memory, and no graphics.
		"--disable-dev-shm-usage", "--disable-gpu",
	}
	if noSandbox {
		args = append(args, "--no-sandbox")
	}
	return append(args, "about:blank")
}

// environment is what the browser sees of ours: no secrets, and no home, so that all
// that it writes is in its profile.
func environment(profile string) []string {
	env := []string{"HOME=" + profile, "XDG_CONFIG_HOME=" + profile, "XDG_CACHE_HOME=" + profile, "XDG_RUNTIME_DIR=" + profile}
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// start starts the program. The caller stops it.
func start(path, proxy string, noSandbox bool) (_ *process, err error) {
	profile, err := os.MkdirTemp("", "weir-browser-*-profile")
	if err != nil {
		return nil, fmt.Errorf("profile of the browser: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(profile))
		}
	}()
	// Descriptors 3 and 4 of the browser.
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the browser: %w", err)
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		_, _ = theirIn.Close(), ourOut.Close()
		return nil, fmt.Errorf("pipe to the browser: %w", err)
	}
	p := &process{profile: profile, in: ourOut, conn: cdp.New(ourIn, ourOut), gone: make(chan struct{})}
	p.cmd = exec.Command(path, arguments(proxy, profile, noSandbox)...)
	p.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	p.cmd.Stderr = &p.last
	p.cmd.Env = environment(profile)
	// Its children may hold stderr open for a moment longer.
	p.cmd.WaitDelay = closeTime
	ownGroup(p.cmd)
	err = p.cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		_, _ = ourIn.Close(), ourOut.Close()
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	go p.watch(ourIn)
	return p, nil
}

// watch reads what the browser says until it ends, and clears up after it.
func (p *process) watch(out io.Closer) {
	defer close(p.gone)
	var reading sync.WaitGroup
	reading.Go(func() {
		_ = p.conn.Run()
		// A browser that has closed its pipe, or sends what cannot be read, is of no use.
		p.kill()
	})
	_ = p.cmd.Wait() // how it ended is seen by what it did not answer
	p.kill()
	reap(p.cmd.Process.Pid, p.profile, p.strays)
	_ = out.Close()
	reading.Wait()
	_ = p.in.Close()
	// What the last of its processes wrote while it was removed is removed again.
	for range 10 {
		if os.RemoveAll(p.profile) == nil {
			break
		}
	}
}

// kill ends all processes of the browser at once.
func (p *process) kill() { killGroup(p.cmd.Process.Pid) }

// stop ends the browser, by force when it takes its time, and waits until it is gone.
func (p *process) stop() {
	p.conn.Session("").Post("Browser.close", nil)
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-p.gone:
	case <-timer.C:
		p.kill()
		<-p.gone
	}
}

// memory returns the bytes that the browser's processes have for themselves; 0
// where that cannot be known.
func (p *process) memory() int64 { return groupMemory(p.cmd.Process.Pid) }

// tail keeps the end of what is written to it, for an error. Safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	data []byte
}

// maxTail is how much of it is kept.
const maxTail = 2 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if over := len(t.data) - maxTail; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(b), nil
}

// line returns the last line that says something.
func (t *tail) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
