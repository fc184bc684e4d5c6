// Package s3test runs an S3 server inside a test: the real protocol over HTTP, with
// faults on demand.
package s3test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Bucket is the server's one bucket.
const Bucket = "weir-test"

// Server is an S3 server with a bucket.
type Server struct {
	http *httptest.Server

	mu       sync.Mutex
	fault    func(*http.Request) Fault
	requests map[string]int
}

// Fault is what becomes of a request.
type Fault int

// The faults.
const (
	// None: the request is answered.
	None Fault = iota
	// Refused: it is answered 503, and nothing is done.
	Refused
	// Lost: it is done, and the connection is closed without an answer.
	Lost
	// Cut: the connection is closed in the middle of the answer's body.
	Cut
)

// Start runs a server until the test ends. Clients need credentials in the
// environment: see Credentials.
func Start(t testing.TB) *Server {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	s := &Server{requests: map[string]int{}}
	s.http = httptest.NewServer(s.faulty(gofakes3.New(backend, gofakes3.WithTimeSkewLimit(0)).Server()))
	t.Cleanup(s.http.Close)
	return s
}

// Endpoint is the server's URL.
func (s *Server) Endpoint() string { return s.http.URL }

// URL names a store under a prefix of the bucket, for blob.Open.
func (s *Server) URL(prefix string) string {
	return "s3://" + Bucket + "/" + prefix + "?" + url.Values{"endpoint": {s.http.URL}, "region": {"us-east-1"}}.Encode()
}

// Fail lets a function choose the fate of every request from now on; nil ends that.
func (s *Server) Fail(choose func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

// Requests returns the number of requests so far, by method.
func (s *Server) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.requests))
	for k, v := range s.requests {
		out[k] = v
	}
	return out
}

func (s *Server) choose(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.Method]++
	if s.fault == nil {
		return None
	}
	return s.fault(r)
}

func (s *Server) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch s.choose(r) {
		case None:
			next.ServeHTTP(w, r)
		case Refused:
			http.Error(w, "slow down", http.StatusServiceUnavailable)
		case Lost:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler) // nobody's mistake: it is how a handler closes a connection
		case Cut:
			next.ServeHTTP(&cutWriter{ResponseWriter: w}, r)
			panic(http.ErrAbortHandler) // nobody's mistake: it is how a handler closes a connection
		}
	})
}

// cutWriter takes half of the first piece of a body and no more.
type cutWriter struct {
	http.ResponseWriter
	cut bool
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.cut {
		return 0, errors.New("cut")
	}
	c.cut = true
	n, err := c.ResponseWriter.Write(p[:len(p)/2])
	if err == nil {
		c.ResponseWriter.(http.Flusher).Flush()
		err = errors.New("cut")
	}
	return n, err
}

// Credentials sets credentials that the server takes, for the process: call it from
// TestMain.
func Credentials(setenv func(key, value string) error) error {
	return errors.Join(setenv("AWS_ACCESS_KEY_ID", "weir-test-key"), setenv("AWS_SECRET_ACCESS_KEY", "weir-test-secret"))
}
