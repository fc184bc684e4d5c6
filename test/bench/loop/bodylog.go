package loop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/klauspost/compress/s2"
)

// syncEvery is how long a body may be in memory only.
const syncEvery = 20 * time.Millisecond

// bodyLog appends bodies to a file, compressed with S2, and syncs it every syncEvery
// while something comes. A nil log takes everything and keeps nothing.
type bodyLog struct {
	file *os.File
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	w     *s2.Writer
	dirty bool
	err   error
}

func newBodyLog(name string) (*bodyLog, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("body log: %w", err)
	}
	l := &bodyLog{file: f, stop: make(chan struct{}), w: s2.NewWriter(f, s2.WriterConcurrency(1))}
	l.done.Go(l.sync)
	return l, nil
}

func (l *bodyLog) add(page string, body []byte) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(page))), uint64(len(body)))
	for _, part := range [][]byte{head, []byte(page), body} {
		if _, err := l.w.Write(part); err != nil {
			l.err = errors.Join(l.err, err)
		}
	}
	l.dirty = true
	return l.err
}

func (l *bodyLog) sync() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush()
		case <-l.stop:
			return
		}
	}
}

func (l *bodyLog) flush() {
	l.mu.Lock()
	dirty := l.dirty
	l.dirty = false
	if dirty {
		l.err = errors.Join(l.err, l.w.Flush())
	}
	l.mu.Unlock()
	if !dirty {
		return
	}
	if err := syscall.Fdatasync(int(l.file.Fd())); err != nil {
		l.mu.Lock()
		l.err = errors.Join(l.err, fmt.Errorf("body log: %w", err))
		l.mu.Unlock()
	}
}

func (l *bodyLog) close() error {
	close(l.stop)
	l.done.Wait()
	l.flush()
	return errors.Join(l.err, l.w.Close(), l.file.Close())
}
