package render

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/cdp"
	"github.com/weircrawl/weir/services/fetcher/internal/forward"
)

const (
	// maxEvents bounds the events of a page that wait to be looked at.
	maxEvents = 8192
	// quiet is how long no request must be under way for the network to be idle.
	quiet = 500 * time.Millisecond
	// stuckTime is how long scripts may keep a page that is to be taken from answering
	// before they are stopped.
	stuckTime = time.Second
)

// errLeft: the page went elsewhere.
var errLeft = errors.New("the page went elsewhere")

// tab is a page that is being shown.
type tab struct {
	page    *Page
	pass    *forward.Pass
	root    cdp.Session
	session cdp.Session
	context string // of the browser
	frame   string // the page's own
	queue   chan event
	changed chan struct{}
	stop    context.CancelCauseFunc
	world   int64 // where our scripts run, beside those of the page
	unhear  []func()

	mu       sync.Mutex
	policy   policy
	running  map[string]bool // requests under way
	seq      int             // counts what has begun
	tree     bool            // its tree is complete
	loaded   bool
	going    string // the request of the frame's way out, if it has taken one
	location string
	notes    []string
}

// event is one of the page's own session, or of one of its frames and workers.
type event struct {
	cdp.Event
	session cdp.Session
}

// listen takes the events of a session from the connection. A page that makes more of
// them than can be looked at is given up.
func (t *tab) listen(s cdp.Session) {
	t.unhear = append(t.unhear, s.Listen(func(e cdp.Event) {
		if !wanted(e.Method) {
			return
		}
		select {
		case t.queue <- event{e, s}:
		default:
			t.stop(errors.New("the page asks for too much at a time"))
		}
	}))
}

// wanted reports whether an event is of interest.
func wanted(method string) bool {
	switch method {
	case "Fetch.requestPaused", "Fetch.authRequired", "Network.requestWillBeSent", "Network.loadingFinished", "Network.loadingFailed",
		"Page.domContentEventFired", "Page.loadEventFired", "Page.javascriptDialogOpening", "Inspector.targetCrashed", "Inspector.detached",
		"Target.attachedToTarget":
		return true
	}
	return false
}

// pump handles events until ctx ends, or the browser, which is gone then.
func (t *tab) pump(ctx context.Context, gone <-chan struct{}) {
	for {
		select {
		case e := <-t.queue:
			t.handle(e)
		case <-gone:
			t.stop(cdp.ErrGone)
			return
		case <-ctx.Done():
			return
		}
	}
}

func (t *tab) handle(e event) {
	switch e.Method {
	case "Fetch.requestPaused":
		t.paused(e)
	case "Fetch.authRequired":
		t.asked(e)
	case "Network.requestWillBeSent", "Network.loadingFinished", "Network.loadingFailed":
		t.traffic(e)
	case "Target.attachedToTarget":
		t.attached(e)
	case "Page.domContentEventFired":
		t.note(func() { t.tree = true })
	case "Page.loadEventFired":
		t.note(func() { t.tree, t.loaded = true, true })
	case "Page.javascriptDialogOpening":
		var d struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(e.Params, &d) // of another kind then, which is refused
		t.session.Post("Page.handleJavaScriptDialog", map[string]bool{"accept": d.Type == "beforeunload"})
	case "Inspector.targetCrashed", "Inspector.detached":
		t.stop(errBroken)
	}
}

// attached sets up a frame or a worker that has a process of its own, and waits for
// that: its requests are the page's.
func (t *tab) attached(e event) {
	var a struct {
		Session string `json:"sessionId"`
	}
	if json.Unmarshal(e.Params, &a) != nil {
		return
	}
	s := t.root.Beside(a.Session)
	t.listen(s)
	for _, c := range t.network() {
		s.Post(c.method, c.params)
	}
	s.Post("Runtime.runIfWaitingForDebugger", nil)
}

// note changes what is known of the page, and wakes whoever waits for that.
func (t *tab) note(change func()) {
	t.mu.Lock()
	change()
	t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// remark adds a line about what did not go as it should.
func (t *tab) remark(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.notes) < 4 {
		t.notes = append(t.notes, fmt.Sprintf(format, args...))
	}
}

// traffic follows the requests that are under way. What stays open by nature counts
// for none.
func (t *tab) traffic(e event) {
	var r struct {
		ID      string `json:"requestId"`
		Type    string `json:"type"`
		Frame   string `json:"frameId"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
	}
	if json.Unmarshal(e.Params, &r) != nil {
		return
	}
	t.note(func() {
		switch {
		case e.Method != "Network.requestWillBeSent":
			delete(t.running, r.ID)
			if e.Method == "Network.loadingFailed" && r.ID == t.going {
				// A way out that came to nothing: the page does not go on loading after it.
				t.tree, t.loaded = true, true
			}
		case r.Type == "Document" && r.Frame == t.frame && t.policy.answered:
			t.going = r.ID
		case !strings.HasPrefix(r.Request.URL, "http"): // a program's, such as mailto, or here at once
		case r.Type != "EventSource" && r.Type != "WebSocket" && r.Type != "Ping" && r.Type != "Media":
			t.running[r.ID] = true
			t.seq++
		}
	})
}

// paused decides on a request.
func (t *tab) paused(p event) {
	var e struct {
		ID      string `json:"requestId"`
		Frame   string `json:"frameId"`
		Type    string `json:"resourceType"`
		Request struct {
			URL     string            `json:"url"`
			Method  string            `json:"method"`
			Headers map[string]string `json:"headers"`
		} `json:"request"`
	}
	if json.Unmarshal(p.Params, &e) != nil {
		return
	}
	r := request{
		url: e.Request.URL, method: e.Request.Method, kind: e.Type, accept: e.Request.Headers["Accept"],
		main: e.Type == "Document" && e.Frame == t.frame,
	}
	t.mu.Lock()
	v := t.policy.judge(r)
	t.mu.Unlock()
	switch v {
	case allow:
		p.session.Post("Fetch.continueRequest", continuation{ID: e.ID, Headers: t.headers(e.Request.URL, e.Request.Headers)})
	case answer:
		p.session.Post("Fetch.fulfillRequest", map[string]any{
			"requestId": e.ID, "responseCode": t.page.Status, "responseHeaders": t.answerHeader(), "body": t.page.Body,
		})
	case leave:
		t.mu.Lock()
		t.location = e.Request.URL
		t.mu.Unlock()
		t.stop(errLeft)
	case block, tooMany:
		if r.main {
			t.remark("the page wanted to %s %.200s", r.method, r.url)
		}
		p.session.Post("Fetch.failRequest", map[string]string{"requestId": e.ID, "errorReason": "BlockedByClient"})
	}
}

// continuation lets a request go on.
type continuation struct {
	ID      string   `json:"requestId"`
	Headers []Header `json:"headers,omitempty"`
}

// headers returns the headers of a request that gets some of ours; nil for one that
// goes as it is.
func (t *tab) headers(url string, sent map[string]string) []Header {
	if len(t.page.Own) == 0 || origin(url) != origin(t.page.URL) {
		return nil
	}
	var out []Header
	for name, value := range sent {
		if _, ours := t.page.Own[http.CanonicalHeaderKey(name)]; !ours {
			out = append(out, Header{name, value})
		}
	}
	for name, values := range t.page.Own {
		for _, v := range values {
			out = append(out, Header{name, v})
		}
	}
	return out
}

// answerHeader is the header of the page's answer without what is about its way here.
func (t *tab) answerHeader() []Header {
	var out []Header
	for _, h := range t.page.Header {
		switch strings.ToLower(h.Name) {
		case "content-encoding", "content-length", "transfer-encoding", "connection", "keep-alive", "set-cookie",
			"alt-svc", "strict-transport-security", "clear-site-data", "nel", "report-to", "reporting-endpoints":
		default:
			out = append(out, Header{h.Name, strings.ToValidUTF8(h.Value, "\uFFFD")})
		}
	}
	return out
}

// asked shows the pass to the proxy. A site that asks for a password gets none.
func (t *tab) asked(p event) {
	var e struct {
		ID        string `json:"requestId"`
		Challenge struct {
			Source string `json:"source"`
		} `json:"authChallenge"`
	}
	if json.Unmarshal(p.Params, &e) != nil {
		return
	}
	answer := map[string]string{"response": "CancelAuth"}
	if e.Challenge.Source == "Proxy" {
		user, password := t.pass.Credentials()
		answer = map[string]string{"response": "ProvideCredentials", "username": user, "password": password}
	}
	p.session.Post("Fetch.continueWithAuth", map[string]any{"requestId": e.ID, "authChallengeResponse": answer})
}

// show does all that there is to do with the page.
func (t *tab) show(ctx context.Context) (*Shown, error) {
	t.policy = policy{url: t.page.URL, images: t.page.LoadImages, max: t.page.MaxRequests}
	out := &Shown{}
	err := t.visit(ctx, out)
	if cause := context.Cause(ctx); cause != nil {
		err = cause // says more than the call that it ended
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	out.Requests, out.Blocked, out.Received = t.policy.requests, t.policy.blocked, t.pass.Received()
	if t.policy.overflowed {
		t.notes = append(t.notes, fmt.Sprintf("the page wanted more than %d requests", t.page.MaxRequests))
	}
	if t.pass.Spent() {
		t.notes = append(t.notes, fmt.Sprintf("the page wanted more than %d bytes", t.page.MaxBytes))
	}
	out.Note = strings.Join(t.notes, "; ")
	if errors.Is(err, errLeft) {
		out.Location, err = t.location, nil
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (t *tab) visit(ctx context.Context, out *Shown) error {
	if err := t.prepare(ctx); err != nil {
		return err
	}
	var went struct {
		Error string `json:"errorText"`
	}
	if err := t.session.Call(ctx, "Page.navigate", map[string]string{"url": t.page.URL}, &went); err != nil {
		return err
	}
	if went.Error != "" {
		return fmt.Errorf("the browser does not show the page: %s", went.Error)
	}
	if err := t.ready(ctx); err != nil {
		return err
	}
	for i, s := range t.page.Steps {
		if err := t.step(ctx, s); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return t.capture(ctx, out)
}

// args are the parameters of a method, and method is one with its parameters.
type (
	args   map[string]any
	method struct {
		method string
		params args
	}
)

// network is what puts the requests of a session under our control.
func (t *tab) network() []method {
	return []method{
		{"Fetch.enable", args{"patterns": []args{{"urlPattern": "*"}}, "handleAuthRequests": true}},
		{"Network.enable", args{"maxTotalBufferSize": 1 << 20, "maxResourceBufferSize": 1 << 20, "maxPostDataSize": 0}},
		{"Network.setBypassServiceWorker", args{"bypass": true}},
		{"Emulation.setUserAgentOverride", args{"userAgent": t.page.UserAgent, "acceptLanguage": t.page.AcceptLanguage}},
		{"Target.setAutoAttach", args{"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true}},
	}
}

// prepare sets the page up before it goes anywhere.
func (t *tab) prepare(ctx context.Context) error {
	width, height := cmp.Or(t.page.Width, 1280), cmp.Or(t.page.Height, 800)
	calls := append(t.network(), []method{
		{"Inspector.enable", nil},
		{"Page.enable", nil},
		{"Emulation.setDeviceMetricsOverride", args{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}},
	}...)
	if t.page.InsecureTLS {
		calls = append(calls, method{"Security.setIgnoreCertificateErrors", args{"ignore": true}})
	}
	for _, c := range calls {
		if err := t.session.Call(ctx, c.method, c.params, nil); err != nil {
			return err
		}
	}
	err := t.root.Call(ctx, "Browser.setDownloadBehavior", args{"behavior": "deny", "browserContextId": t.context}, nil)
	if err != nil {
		return err
	}
	return t.setCookies(ctx)
}
