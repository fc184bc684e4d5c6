package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weircrawl/weir/internal/crawl"
)

// fatal turns the end of the database into an error. Pebble, when it cannot write
// its log or manifest, panics in the caller or calls Logger.Fatalf, which must not
// return, from a goroutine of its own. The first such failure is kept, waiting
// calls return it, and the goroutine ends. The database is not used any more then;
// the process is expected to stop, and finds all that was durable at its next start.
type fatal struct {
	dir  string
	log  *slog.Logger
	done chan struct{} // closed at the first failure

	mu    sync.Mutex
	cause error
}

// newFatal returns one without a failure.
func newFatal(dir string, log *slog.Logger) *fatal {
	return &fatal{dir: dir, log: log, done: make(chan struct{})}
}

// err returns the failure, nil without one.
func (f *fatal) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// fail keeps the first failure.
func (f *fatal) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil {
		f.cause = err
		close(f.done)
	}
}

// Infof is part of pebble.Logger; its chatter is of no use to anybody but its
// authors.
func (f *fatal) Infof(string, ...any) {}

// Errorf is part of pebble.Logger.
func (f *fatal) Errorf(format string, args ...any) {
	f.log.Warn("frontier store", "err", fmt.Sprintf(format, args...))
}

// Fatalf is part of pebble.Logger. It does not return: it ends the goroutine, and
// guard notices when that was one of ours.
func (f *fatal) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if e, ok := a.(error); ok { // keep the chain, whatever the verb
			err = fmt.Errorf("%w (%s)", e, fmt.Sprintf(format, args...))
		}
	}
	f.fail(err)
	runtime.Goexit()
}

// events watches what happens in the background. A full disk makes Pebble try for
// ever; for us it is the end, since nothing would ever be durable again.
func (f *fatal) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if errors.Is(err, syscall.ENOSPC) {
				f.fail(err)
				return
			}
			f.log.Warn("frontier store works on after an error in the background", "err", err)
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) { f.fail(i.Details) },
	}
}

// guard runs a call that may not come back when the database fails. It returns the
// failure then, and leaves the call alone.
func (f *fatal) guard(call func() error) error {
	if err := f.err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		ended := false
		defer func() {
			if r := recover(); r != nil {
				f.fail(panicked(r))
			}
			if !ended { // a panic, or Fatalf in this goroutine
				done <- f.err()
			}
		}()
		err := call()
		ended = true
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-f.done:
		return f.err()
	}
}

// panicked is the error of a recovered panic.
func panicked(r any) error {
	if err, ok := r.(error); ok {
		return err
	}
	return fmt.Errorf("pebble: %v", r)
}

// wrap says what was being done and, where it is known, what to do about it.
func (f *fatal) wrap(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return crawl.Errorf(crawl.Unavailable, "frontier store: %s: disk full: free space in %s and run again with --resume: %w", doing, f.dir, err)
	}
	return crawl.Errorf(crawl.Unavailable, "frontier store %s: %s: %w", f.dir, doing, err)
}
