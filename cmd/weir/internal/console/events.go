package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

const (
	// beatEvery is the time between two signs of life on a stream: proxies cut what is
	// silent for a minute.
	beatEvery = 15 * time.Second
	// streamTime is how long a stream lives; browsers open another, and whether they may
	// is looked at again.
	streamTime = 10 * time.Minute
)

// events tells browsers that there is something new. What it is they fetch as they fetch
// everything: one way to make a page, and one to allow it.
type events struct {
	most int

	mu      sync.Mutex
	streams int
	waiting map[chan struct{}]bool
}

func newEvents(most int) *events {
	return &events{most: most, waiting: map[chan struct{}]bool{}}
}

// enter takes a place for a stream; false when there is none.
func (e *events) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.streams >= e.most {
		return false
	}
	e.streams++
	return true
}

func (e *events) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams--
}

// listen returns a channel that says that there is something new; what it says while
// nobody listens is said once.
func (e *events) listen() (news chan struct{}, stop func()) {
	news = make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[news] = true
	return news, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.waiting, news)
	}
}

// tell says to all that there is something new. It never waits.
func (e *events) tell() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for news := range e.waiting {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// sse writes a stream of events.
type sse struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// openSSE takes a place and begins a stream. The caller calls done at its end.
func (s *Server) openSSE(w http.ResponseWriter) (out *sse, done func(), err error) {
	if !s.events.enter() {
		w.Header().Set("Retry-After", "30")
		return nil, nil, crawl.Errorf(crawl.Throttled, "%d browsers are kept up to date already: this one reloads instead", s.cfg.Streams)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	out = &sse{w: w, rc: http.NewResponseController(w)}
	s.m.streams.Inc()
	return out, func() { s.m.streams.Dec(); s.events.leave() }, nil
}

// send writes one event, and nothing is sent after an error.
func (o *sse) send(event, data string) error {
	deadline(o.w)
	if _, err := fmt.Fprintf(o.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return o.rc.Flush()
}

// beat writes a sign of life.
func (o *sse) beat() error {
	deadline(o.w)
	if _, err := fmt.Fprint(o.w, ": still here\n\n"); err != nil {
		return err
	}
	return o.rc.Flush()
}

// stayInformed streams an event whenever there is something new.
func (s *Server) stayInformed(w http.ResponseWriter, r *http.Request) error {
	if err := s.allowed(r.Context()); err != nil {
		return err
	}
	out, done, err := s.openSSE(w)
	if err != nil {
		return err
	}
	defer done()
	news, stop := s.events.listen()
	defer stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	end := time.NewTimer(streamTime)
	defer end.Stop()
	if out.beat() != nil {
		return nil // the browser is gone
	}
	for {
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-s.closing:
			return nil
		case <-end.C:
			return nil
		case <-news:
			err = out.send("news", "look again")
		case <-beat.C:
			err = out.beat()
		}
		if err != nil {
			return nil
		}
	}
}
