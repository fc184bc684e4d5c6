package bus

import (
	"sync"

	"github.com/weircrawl/weir/internal/secret"
)

// State is what a connection does at a moment, for people.
type State struct {
	// Connected reports whether the server answers, at URL.
	Connected bool   `json:"connected"`
	URL       string `json:"url"`
	// InHand are the messages in hand, by consumer; as of the last heart-beats.
	InHand map[string]int `json:"in_hand"`
}

// State returns what the connection does.
func (b *Bus) State() State {
	out := State{Connected: b.nc.IsConnected(), URL: secret.Address(b.nc.ConnectedUrl()), InHand: map[string]int{}}
	b.sessions.mu.Lock()
	defer b.sessions.mu.Unlock()
	for s := range b.sessions.all {
		s.held.add(out.InHand)
	}
	return out
}

// heldCount is how many messages a session has in hand, by consumer.
type heldCount struct {
	mu sync.Mutex
	by map[string]int
}

func (h *heldCount) set(by map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = make(map[string]int, len(by))
	}
	clear(h.by)
	for label, n := range by {
		h.by[label] = n
	}
}

func (h *heldCount) add(to map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for label, n := range h.by {
		to[label] += n
	}
}
