package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// EnsureBuckets creates or updates the buckets. Call it before EnsureTopology, and
// share the crawls in between, when the server may have lost its disk: as soon as the
// streams are there, tasks and pages go about whose handlers look for their crawls.
// Where the user has no right to, it waits as EnsureTopology does.
func (b *Bus) EnsureBuckets(ctx context.Context) error {
	return b.declare(ctx,
		func(ctx context.Context) error { return b.unlessRefused(ctx, apiPrefix, b.declareBuckets) },
		b.findBuckets)
}

// EnsureTopology creates or updates the buckets, streams and consumers. It is
// idempotent, and safe to call from several replicas at once. Consumers of
// partitions from partitions upwards are left alone. Where the user has no right to, it
// waits until somebody else has done so or ctx ends.
func (b *Bus) EnsureTopology(ctx context.Context, partitions uint32) error {
	err := b.declare(ctx,
		func(ctx context.Context) error { return b.DeclareTopology(ctx, partitions) },
		func(ctx context.Context) error { return b.findTopology(ctx, partitions) })
	if err == nil {
		b.sessions.declared()
	}
	return err
}

// DeclareTopology is EnsureTopology, but an error where the user has no right to.
func (b *Bus) DeclareTopology(ctx context.Context, partitions uint32) error {
	return b.unlessRefused(ctx, apiPrefix, func(ctx context.Context) error {
		if err := b.declareBuckets(ctx); err != nil {
			return err
		}
		for _, s := range b.streams() {
			err := insist(ctx, func(ctx context.Context) error {
				_, err := b.js.CreateOrUpdateStream(ctx, s)
				return err
			})
			if err != nil {
				return unavailable("create stream "+s.Name, err)
			}
		}
		return b.ensureConsumers(ctx, partitions)
	})
}

func (b *Bus) declareBuckets(ctx context.Context) error {
	for _, kv := range b.buckets() {
		err := insist(ctx, func(ctx context.Context) error {
			_, err := b.js.CreateOrUpdateKeyValue(ctx, kv)
			return err
		})
		if err != nil {
			return unavailable("create bucket "+kv.Bucket, err)
		}
	}
	return nil
}

// declareWait is how long an answer to a declaration is waited for. A cluster of
// servers that is asked for one thing by several clients at a time answers one of them, and
// sometimes nobody; asked again, it answers at once.
const declareWait = 5 * time.Second

// insist makes a declaration, again while it is not answered and ctx lasts.
func insist(ctx context.Context, declare func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, declareWait)
		err := declare(try)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

// buckets are the declarations.
func (b *Bus) buckets() []jetstream.KeyValueConfig {
	crawls := jetstream.KeyValueConfig{
		Bucket:      bucketCrawls,
		Description: "specs of the crawls",
		History:     1,
		Storage:     jetstream.FileStorage,
		Replicas:    b.cfg.Replicas,
	}
	partitions := crawls
	partitions.Bucket = bucketPartitions
	partitions.Description = "owners of the partitions"
	partitions.TTL = b.cfg.LeaseTTL
	partitions.LimitMarkerTTL = b.cfg.LeaseTTL // has watchers hear that a key ran out
	return []jetstream.KeyValueConfig{crawls, partitions}
}

// declaration is a consumer and the subjects that it takes.
type declaration struct {
	consumer Consumer
	filters  []string
}

// consumers are the declarations.
func (b *Bus) consumers(partitions uint32) []declaration {
	var all []declaration
	add := func(c Consumer, filters ...string) { all = append(all, declaration{c, filters}) }
	for _, pool := range b.cfg.Pools {
		add(FetchConsumer(pool), subjectTask+pool+".*")
	}
	add(ParseConsumer(), subjectPage+"*")
	add(StoreConsumer(), subjectRecord+"*")
	for p := range partitions {
		add(ResultConsumer(p), fmt.Sprintf("%s%d", subjectResult, p))
		add(LinksConsumer(p), fmt.Sprintf("%s%d.*", subjectLinks, p))
	}
	add(deadConsumer(), subjectDead+">", advisoryMaxDeliver+">")
	return all
}

// ensureConsumers creates them eight at a time: one costs a round trip and, in a
// cluster, an election.
func (b *Bus) ensureConsumers(ctx context.Context, partitions uint32) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, d := range b.consumers(partitions) {
		g.Go(func() error {
			err := insist(ctx, func(ctx context.Context) error {
				_, err := b.js.CreateOrUpdateConsumer(ctx, d.consumer.stream, b.consumerConfig(d.consumer, d.filters))
				return err
			})
			return unavailable("create consumer "+d.consumer.String(), err)
		})
	}
	return g.Wait()
}

// consumerConfig returns the settings that the server gets.
func (b *Bus) consumerConfig(c Consumer, filters []string) jetstream.ConsumerConfig {
	k := b.settings(c)
	return jetstream.ConsumerConfig{
		Durable:        c.name,
		AckPolicy:      jetstream.AckExplicitPolicy,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckWait:        k.AckWait,
		MaxDeliver:     serverDeliveries(k.MaxDeliver),
		MaxAckPending:  k.MaxAckPending,
		FilterSubjects: filters,
		// A pull waits open for pullExpiry, and every replica holds several.
		MaxWaiting:    4096,
		MemoryStorage: b.transient && c.kind != kindDead,
	}
}

// settings returns the configuration of a consumer.
func (b *Bus) settings(c Consumer) ConsumerConfig {
	switch c.kind {
	case kindFetch:
		return b.cfg.Fetch
	case kindParse:
		return b.cfg.Parse
	case kindStore:
		return b.cfg.Store
	case kindResult:
		return b.cfg.Result
	default:
		// A dead letter must reach the frontier however often that fails.
		return ConsumerConfig{AckWait: 30 * time.Second, MaxAckPending: 256, MaxDeliver: -1}
	}
}

// streams are the declarations. DiscardNew everywhere: the default would drop
// messages that were acked to their publisher.
func (b *Bus) streams() []jetstream.StreamConfig {
	queue := func(name, what string, l StreamLimits, subjects ...string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name:        name,
			Description: what,
			Subjects:    subjects,
			Retention:   jetstream.WorkQueuePolicy,
			Storage:     jetstream.FileStorage,
			Discard:     jetstream.DiscardNew,
			MaxBytes:    l.Bytes,
			MaxMsgs:     l.Messages,
			MaxAge:      l.Age,
			Duplicates:  b.cfg.DuplicateWindow,
			Replicas:    b.cfg.Replicas,
			AllowDirect: true, // InFlight reads by it
		}
	}
	tasks := queue(StreamTasks, "fetches to be done now", b.cfg.Tasks, subjectTask+"*.*", subjectFence+"*")
	tasks.MaxMsgsPerSubject = b.cfg.TasksPerCrawl
	tasks.DiscardNewPerSubject = true
	tasks.AllowRollup = true // a fence replaces the one before
	// Fences must stay, so each task has its age with it instead: a server that starts
	// again drops by MaxAge even what is marked to be kept for ever (2.15).
	tasks.AllowMsgTTL = true
	tasks.MaxAge = 0
	if b.transient {
		tasks.Storage = jetstream.MemoryStorage
	}
	dead := queue(StreamDead, "messages that were given up", b.cfg.Dead, subjectDead+">", advisoryMaxDeliver+">")
	dead.Retention = jetstream.LimitsPolicy
	// The oldest dead letters make room: nothing may stop because people have not
	// looked at them.
	dead.Discard = jetstream.DiscardOld
	return []jetstream.StreamConfig{
		tasks,
		queue(StreamPages, "fetched pages to be parsed", b.cfg.Pages, subjectPage+"*", subjectHeld+"*"),
		queue(StreamRecords, "records to be stored", b.cfg.Records, subjectRecord+"*"),
		queue(StreamResults, "results and links for the frontier", b.cfg.Results, subjectResult+"*", subjectLinks+"*.*"),
		dead,
	}
}

// ResetConsumers deletes the durable consumers; EnsureTopology makes them anew.
// Work queues keep what was not acked, so what was in hand when a process was
// killed is delivered again at once and with fresh counts. Only for an
// all-in-one process at its start, before anything consumes. The consumer of
// dead letters stays: their stream keeps what was handled.
//
// Tasks go altogether: delivered again, a visit that the kill broke off would begin
// without its host's delay. The frontier finds their leases missing and hands the
// URLs out anew, each in its turn. Fences stay, save those of a server that is transient,
// where nobody else could be fenced out.
func (b *Bus) ResetConsumers(ctx context.Context) error {
	for _, name := range []string{StreamTasks, StreamPages, StreamRecords, StreamResults} {
		s, err := b.js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return unavailable("look at stream "+name, err)
		}
		names := s.ConsumerNames(ctx)
		for c := range names.Name() {
			if err := s.DeleteConsumer(ctx, c); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return unavailable("delete consumer "+name+"/"+c, err)
			}
		}
		if err := names.Err(); err != nil {
			return unavailable("list consumers of "+name, err)
		}
		if name == StreamTasks && b.transient {
			// It may be one of an earlier version, in files.
			if err := b.js.DeleteStream(ctx, name); err != nil {
				return unavailable("delete "+name, err)
			}
		} else if name == StreamTasks {
			if err := s.Purge(ctx, jetstream.WithPurgeSubject(subjectTask+">")); err != nil {
				return unavailable("purge "+name, err)
			}
		}
	}
	return nil
}

// PurgeCrawl removes the tasks of a crawl that no fetcher has taken yet, and its pages
// that are put aside.
func (b *Bus) PurgeCrawl(ctx context.Context, crawlID string) error {
	s, err := b.js.Stream(ctx, StreamTasks)
	if err != nil {
		return unavailable("purge crawl "+crawlID, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subjectTask+"*."+token(crawlID))); err != nil {
		return unavailable("purge crawl "+crawlID, err)
	}
	return b.dropHeld(ctx, crawlID)
}
