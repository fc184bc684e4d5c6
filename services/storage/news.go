package storage

import "sync"

// news tells those who wait that something was committed. The zero value is ready.
type news struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed with the next tell.
func (n *news) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

// tell wakes all who wait.
func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
