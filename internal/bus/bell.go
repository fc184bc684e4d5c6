package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weircrawl/weir/internal/crawl"
)

// A bell is a message among the tasks of a pool that asks for nothing but a fetcher:
// while nobody is in a pool the frontier hands out none of its tasks, since each would
// hold its host, and whoever scales the pool by what waits there would never learn that
// it is wanted. Whoever comes takes the bell and does nothing with it.

// bellToken stands in the place of the crawl, which is never called so.
const bellToken = "bell"

// bellAge is how long a bell is there when nobody comes. Ring again before that.
const bellAge = "60s"

// Ring leaves a bell in a pool, in the place of one that is there.
func (b *Bus) Ring(ctx context.Context, pool string) error {
	subject := subjectTask + pool + "." + bellToken
	if !b.nc.IsConnected() {
		return crawl.Errorf(crawl.Unavailable, "publish %s: %w", subject, nats.ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	err := b.unlessRefused(ctx, subject, func(ctx context.Context) error {
		_, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: nats.Header{
			jetstream.MsgRollup:    {jetstream.MsgRollupSubject},
			jetstream.MsgTTLHeader: {bellAge},
		}}, jetstream.WithRetryAttempts(0))
		return err
	})
	return publishError(subject, err)
}

// isBell tells a bell from a task by its subject.
func isBell(subject string) bool {
	rest := len(subject) - len(bellToken)
	return rest > len(subjectTask) && subject[rest-1:] == "."+bellToken && subject[:len(subjectTask)] == subjectTask
}
