package handover

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func take(b *Bodies, data string) bool {
	sum := sha256.Sum256([]byte(data))
	got, ok := b.Take(sum[:])
	if ok && string(got) != data {
		panic(fmt.Sprintf("took %q for %q", got, data))
	}
	return ok
}

func put(b *Bodies, data ...string) {
	for _, d := range data {
		b.Put(sha256.Sum256([]byte(d)), []byte(d))
	}
}

func TestTakenOnce(t *testing.T) {
	t.Parallel()
	b := New(100)
	put(b, "one", "two", "one")
	if !take(b, "one") || take(b, "one") || !take(b, "two") || take(b, "three") {
		t.Error("each body is there once, until it is taken")
	}
	if b.used != 0 || len(b.byKey) != 0 || b.first != nil || b.last != nil {
		t.Errorf("left over: %d bytes, %d bodies", b.used, len(b.byKey))
	}
}

func TestOldestMakeRoom(t *testing.T) {
	t.Parallel()
	b := New(10)
	put(b, "aaaa", "bbbb")
	if !take(b, "aaaa") {
		t.Fatal("aaaa is gone too early")
	}
	put(b, "aaaa", "cccc", "a body beyond all room")
	if take(b, "bbbb") || !take(b, "aaaa") || !take(b, "cccc") {
		t.Error("bbbb was the oldest when room was needed")
	}
	put(b, "0123456789")
	if !take(b, "0123456789") || b.used != 0 {
		t.Error("one that needs all the room has it")
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	var b *Bodies
	put(b, "one")
	b.Done(nil)
	if take(b, "one") {
		t.Error("no place holds a body")
	}
	if _, ok := New(10).Take([]byte("short")); ok {
		t.Error("a sum that is none names a body")
	}
}

// TestMemoryIsNotShared: a body stays what it was while others come and go in the
// memory of those that are done with.
func TestMemoryIsNotShared(t *testing.T) {
	t.Parallel()
	b := New(1 << 12)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				data := bytes.Repeat([]byte{byte(g), byte(i)}, 50+i%50)
				sum := sha256.Sum256(data)
				b.Put(sum, data)
				got, ok := b.Take(sum[:])
				if !ok {
					continue // it had to make room
				}
				if !bytes.Equal(got, data) {
					t.Errorf("took another body than was put")
					return
				}
				b.Done(got)
			}
		})
	}
	wg.Wait()
	if b.used > 1<<12 || len(b.free) > maxFree {
		t.Errorf("%d bytes and %d buffers are beyond the bounds", b.used, len(b.free))
	}
}
