package blob

import (
	"context"
	"errors"
	"io"
)

// Stream stores under a key that is free what write writes, piece by piece and without
// holding it; the object appears when write has returned nil. The error is the store's,
// which has that of write in it. write has returned when Stream does.
func Stream(ctx context.Context, s Store, key string, write func(io.Writer) error) error {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pw.CloseWithError(write(pw)) // of a pipe never fails
	}()
	err := s.Put(ctx, key, pr, -1)
	_ = pr.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // frees the writer
	<-done
	return err
}
