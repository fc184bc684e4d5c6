// Package handover keeps bodies that were just fetched for whoever reads them next in
// the same process, so that they need not be inflated again. It decides nothing: a body
// that is not there is read from its message, and one that is there has the SHA-256
// that the message names.
package handover

import (
	"crypto/sha256"
	"sync"
)

// Bodies holds bodies until they are taken or others need their room. The nil *Bodies
// holds none. Safe for concurrent use.
type Bodies struct {
	room int

	mu    sync.Mutex
	used  int
	byKey map[[sha256.Size]byte]*body
	// first is the oldest body, last the newest.
	first, last *body
	free        [][]byte // memory of bodies that are done with
}

// body is a body in the order of coming.
type body struct {
	key        [sha256.Size]byte
	data       []byte
	prev, next *body
}

// maxFree bounds the buffers kept for reuse: as many as are read at a time on a machine
// with very many processors.
const maxFree = 64

// New returns a place for so many bytes of bodies.
func New(room int) *Bodies {
	return &Bodies{room: room, byKey: make(map[[sha256.Size]byte]*body)}
}

// Put keeps a copy of a body with its SHA-256; the oldest ones make room.
func (b *Bodies) Put(sum [sha256.Size]byte, data []byte) {
	if b == nil || len(data) > b.room {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byKey[sum] != nil {
		return
	}
	for b.used+len(data) > b.room {
		b.recycle(b.drop(b.first))
	}
	e := &body{key: sum, data: append(b.buffer(), data...), prev: b.last}
	if b.last == nil {
		b.first = e
	} else {
		b.last.next = e
	}
	b.last, b.byKey[sum] = e, e
	b.used += len(data)
}

// Take hands over the body with a SHA-256, once. It is the caller's, who gives it back
// with Done when nothing of it is in use any more.
func (b *Bodies) Take(sum []byte) ([]byte, bool) {
	if b == nil || len(sum) != sha256.Size {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byKey[[sha256.Size]byte(sum)]
	if e == nil {
		return nil, false
	}
	return b.drop(e), true
}

// Done gives the memory of a body back that Take has handed over.
func (b *Bodies) Done(data []byte) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recycle(data)
}

// drop takes a body out and returns its memory.
func (b *Bodies) drop(e *body) []byte {
	delete(b.byKey, e.key)
	b.used -= len(e.data)
	if e.prev == nil {
		b.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		b.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	return e.data
}

func (b *Bodies) recycle(data []byte) {
	if len(b.free) < maxFree {
		b.free = append(b.free, data[:0])
	}
}

func (b *Bodies) buffer() []byte {
	n := len(b.free)
	if n == 0 {
		return nil
	}
	buf := b.free[n-1]
	b.free[n-1] = nil
	b.free = b.free[:n-1]
	return buf
}
