package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/testkit/s3test"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func TestMain(m *testing.M) {
	if err := s3test.Credentials(os.Setenv); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var errBroken = errors.New("the source broke")

// shelf is a source in memory.
type shelf struct {
	mu     sync.Mutex
	items  []string
	broken uint64 // the cursor at which reading breaks; 0 for never
}

func shelfOf(items ...string) *shelf { return &shelf{items: items} }

func (s *shelf) put(items ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, items...)
}

func (s *shelf) Each(_ context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	s.mu.Lock()
	items := s.items[min(after, uint64(len(s.items))):]
	s.mu.Unlock()
	for i, item := range items {
		if limit > 0 && uint64(i) == limit {
			break
		}
		cursor := after + 1
		if cursor == s.broken {
			return after, errBroken
		}
		if err := f(&storagev1.StoredItem{Cursor: cursor, Json: []byte(item)}); err != nil {
			return after, err
		}
		after = cursor
	}
	return after, nil
}

// many makes n items that all differ.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"n":%d,"name":"item %d","tags":["a","b%d"]}`, i, i, i%7)
	}
	return out
}

// breaking breaks in its second reading: tables are read twice.
type breaking struct {
	*shelf
	at       uint64
	readings int
}

func (b *breaking) Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	if b.readings++; b.readings == 1 {
		return b.shelf.Each(ctx, after, limit, f)
	}
	return b.shelf.Each(ctx, after, limit, func(item *storagev1.StoredItem) error {
		if item.GetCursor() == b.at {
			return errBroken
		}
		return f(item)
	})
}

// counting counts what is read.
type counting struct {
	*shelf
	n uint64
}

func (c *counting) Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	return c.shelf.Each(ctx, after, limit, func(item *storagev1.StoredItem) error {
		c.n++
		return f(item)
	})
}
