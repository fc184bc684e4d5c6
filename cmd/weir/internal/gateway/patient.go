package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// patientBody gives each read of a body its own time, and none to what comes after it.
type patientBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read implements io.Reader.
func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.rc.SetReadDeadline(time.Now().Add(stillTime)) // a recorder has none
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter ends a connection whose reader takes nothing for a time, and sends what
// is written at once.
type patientWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

// Write implements io.Writer.
func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.rc.SetWriteDeadline(time.Now().Add(stillTime))
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, which the generated code asks for.
func (w *patientWriter) Flush() { _ = w.rc.Flush() }

// Unwrap is for http.ResponseController.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
