package client

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/speed"
)

// meter counts a body as it comes, and ends one that comes too slowly.
type meter struct {
	src io.Reader
	n   atomic.Int64

	least int64 // bytes in a window
	tick  time.Duration
	end   func()
	held  atomic.Bool // nobody reads: we wait for memory

	mu     sync.Mutex
	timer  *time.Timer
	window speed.Window
	over   bool
	slow   bool
}

// start watches the speed from now on, for least bytes in each window; end is called
// when fewer came. stop ends it.
func (m *meter) start(least int64, window time.Duration, end func()) {
	m.least, m.tick, m.end = least, window/speed.Ticks, end
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(m.tick, m.look)
}

// stop ends the watch.
func (m *meter) stop() {
	if m.end == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	m.timer.Stop()
}

// tooSlow reports whether the body was ended for its speed.
func (m *meter) tooSlow() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.slow
}

func (m *meter) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return
	}
	total := m.n.Load()
	if m.held.Load() {
		m.window.Restart(total)
	} else if came, ok := m.window.Tick(total); ok && came < m.least {
		m.slow, m.over = true, true
		m.end()
		return
	}
	m.timer.Reset(m.tick)
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	m.n.Add(int64(n))
	return n, err
}
