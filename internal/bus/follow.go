package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// FollowCrawls calls h with every crawl that is shared, then with every change, with
// a nil crawl for one that was taken back; until ctx ends, then it returns nil. A
// crawl may come again, and each time that the server was away all come again. What
// was put fast one after the other comes as the last only. An error of h has the
// crawl come again after a wait.
func (b *Bus) FollowCrawls(ctx context.Context, h func(ctx context.Context, id string, c *crawlv1.Crawl) error) error {
	b.follow(ctx, bucketCrawls, func() func(jetstream.KeyValueEntry) error {
		return func(e jetstream.KeyValueEntry) error {
			if e == nil {
				return nil
			}
			c, err := crawlOf(e)
			if err != nil {
				b.log.Warn("cannot read a crawl", "err", err)
				return nil
			}
			return h(ctx, e.Key(), c)
		}
	})
	return nil
}

// crawlOf reads an entry, nil for a crawl that was taken back.
func crawlOf(e jetstream.KeyValueEntry) (*crawlv1.Crawl, error) {
	if e.Operation() != jetstream.KeyValuePut {
		return nil, nil
	}
	c := new(crawlv1.Crawl)
	if err := proto.Unmarshal(e.Value(), c); err != nil {
		return nil, fmt.Errorf("read crawl %s: %w", e.Key(), err)
	}
	return c, nil
}

// GetCrawl reads a crawl as it is shared, nil when there is none with this id.
func (b *Bus) GetCrawl(ctx context.Context, crawlID string) (*crawlv1.Crawl, error) {
	kv, err := b.bucket(ctx, bucketCrawls)
	if err != nil {
		return nil, err
	}
	e, err := kv.Get(ctx, crawlID)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrInvalidKey):
		return nil, nil
	case err != nil:
		return nil, unavailable("read crawl "+crawlID, err)
	}
	return crawlOf(e)
}

// IsLinks reports whether a message that was consumed is of LinksConsumer.
func IsLinks(d Delivery) bool { return strings.HasPrefix(d.Subject, subjectLinks) }

// LinksUnderWay counts the messages with links of a crawl that no partition has
// taken up yet: a message is in its stream until it is acked.
func (b *Bus) LinksUnderWay(ctx context.Context, crawlID string) (uint64, error) {
	s, err := b.js.Stream(ctx, StreamResults)
	if err != nil {
		return 0, unavailable("look at stream "+StreamResults, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(subjectLinks+"*."+token(crawlID)))
	if err != nil {
		return 0, unavailable("look at stream "+StreamResults, err)
	}
	var n uint64
	for _, of := range info.State.Subjects {
		n += of
	}
	return n, nil
}
