// Package cdp speaks the Chrome DevTools Protocol over the two pipes of a browser
// that was started with --remote-debugging-pipe.
//
// A pipe and not a port: nobody else on the machine can reach the browser through
// it, no page can, and the browser ends when the process that holds it does,
// whatever ended that. Messages are JSON, each followed by a zero byte; those of one
// page carry the name of its session.
package cdp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// maxMessage is the longest message that is read, in bytes. A page can make the
// browser tell of things of any size, such as an address that is a file; what is
// longer is passed over.
const maxMessage = 32 << 20

// ErrGone is the error of every call once the browser is gone.
var ErrGone = errors.New("the browser is gone")

// Error is what the browser answers to a call that it refuses.
type Error struct {
	// Method that was called.
	Method string `json:"-"`
	// Code of JSON-RPC.
	Code int `json:"code"`
	// Message says what is wrong.
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%d)", e.Method, e.Message, e.Code) }

// Event is something that happened in a session.
type Event struct {
	// Method names the event, for example "Page.loadEventFired".
	Method string
	// Params are its parameters as JSON, the listener's to keep.
	Params json.RawMessage
}

// Conn is a connection to a browser. Safe for concurrent use.
type Conn struct {
	in   *bufio.Reader
	done chan struct{}

	sending sync.Mutex
	out     io.Writer

	mu       sync.Mutex
	last     int64
	gone     bool
	waiting  map[int64]chan message
	sessions map[string]func(Event)
}

// message is one message of either direction.
type message struct {
	ID      int64           `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// New makes a connection from what the browser writes and what it reads. Nothing
// is read until Run.
func New(r io.Reader, w io.Writer) *Conn {
	return &Conn{
		in: bufio.NewReaderSize(r, 64<<10), out: w, done: make(chan struct{}),
		waiting: make(map[int64]chan message), sessions: make(map[string]func(Event)),
	}
}

// Run reads until the browser's end of the pipe is closed, which ends all calls
// with ErrGone. It returns what ended it, nil for the end of the pipe. It runs once.
func (c *Conn) Run() error {
	defer close(c.done)
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gone = true
	}()
	for {
		data, err := c.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from the browser: %w", err)
		}
		c.take(data)
	}
}

// Done is closed when the browser is gone.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Over reports whether the browser is gone.
func (c *Conn) Over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// next reads a message without its end; nil for one that is too long.
func (c *Conn) next() ([]byte, error) {
	var whole []byte
	long := false
	for {
		piece, err := c.in.ReadSlice(0)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if long = long || len(whole)+len(piece) > maxMessage; long {
			whole = nil
		} else {
			whole = append(whole, piece...)
		}
		if err == nil {
			return whole[:max(len(whole)-1, 0)], nil
		}
	}
}

// take hands a message to whoever waits for it.
func (c *Conn) take(data []byte) {
	var m message
	if len(data) == 0 || json.Unmarshal(data, &m) != nil {
		return // nothing that a caller could be told
	}
	c.mu.Lock()
	answer, event := c.waiting[m.ID], c.sessions[m.Session]
	delete(c.waiting, m.ID)
	c.mu.Unlock()
	switch {
	case m.Method != "" && event != nil:
		event(Event{Method: m.Method, Params: m.Params})
	case m.Method == "" && answer != nil:
		answer <- m // has room for it
	}
}

// Session calls methods in one session of a connection.
type Session struct {
	conn *Conn
	id   string
}

// Session returns the session of an id; an empty one is the browser itself.
func (c *Conn) Session(id string) Session { return Session{conn: c, id: id} }

// Beside returns another session of the same connection.
func (s Session) Beside(id string) Session { return s.conn.Session(id) }

// Listen sends the events of the session to f until the function that it returns is
// called. f is called by the goroutine that reads: it must not block, nor call.
func (s Session) Listen(f func(Event)) (stop func()) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s.id] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sessions, s.id)
	}
}

// Call calls a method and waits for its answer, which result takes unless it is nil.
// Its error is ErrGone, an *Error, or that ctx ended.
func (s Session) Call(ctx context.Context, method string, params, result any) error {
	answer := make(chan message, 1)
	id, err := s.conn.send(s.id, method, params, answer)
	if err != nil {
		return err
	}
	var m message
	select {
	case m = <-answer:
	case <-s.conn.done:
		return fmt.Errorf("%s: %w", method, ErrGone)
	case <-ctx.Done():
		s.conn.mu.Lock()
		delete(s.conn.waiting, id)
		s.conn.mu.Unlock()
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
	if m.Error != nil {
		m.Error.Method = method
		return m.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return fmt.Errorf("answer to %s: %w", method, err)
	}
	return nil
}

// Post calls a method without waiting for an answer: whatever is wrong with it will
// show elsewhere.
func (s Session) Post(method string, params any) {
	_, _ = s.conn.send(s.id, method, params, nil)
}

// send writes a message; answer, where it is given, takes what comes back.
func (c *Conn) send(session, method string, params any, answer chan message) (int64, error) {
	raw := json.RawMessage("{}")
	if params != nil {
		var err error
		if raw, err = json.Marshal(params); err != nil {
			return 0, fmt.Errorf("%s: encode: %w", method, err)
		}
	}
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return 0, fmt.Errorf("%s: %w", method, ErrGone)
	}
	c.last++
	id := c.last
	if answer != nil {
		c.waiting[id] = answer
	}
	c.mu.Unlock()
	data, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: raw})
	if err != nil {
		return 0, fmt.Errorf("%s: encode: %w", method, err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	if _, err := c.out.Write(append(data, 0)); err != nil {
		return 0, fmt.Errorf("%s: %w: %w", method, ErrGone, err)
	}
	return id, nil
}
