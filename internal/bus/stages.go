package bus

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stage is the work of the consumers of one stage, those of all partitions together.
type Stage struct {
	// Name is the consumer's, without a partition: fetch-http, parse, result, …
	Name string
	// Stream that it takes from.
	Stream string
	// Consumers of the stage.
	Consumers int
	// Waiting messages, and those Working: delivered and not settled.
	Waiting, Working uint64
	// Delivered messages since the consumers were made, repeated ones included.
	Delivered uint64
	// Again is how many of Working were delivered before.
	Again uint64
	// Pulls are the open requests for messages.
	Pulls uint64
	// MaxWorking bounds Working; 0 is no bound.
	MaxWorking uint64
	// Dead letters that are kept of its messages. The stages of one stream cannot be
	// told apart by them: the first has all.
	Dead uint64
}

// Queue is a stream.
type Queue struct {
	// Name of the stream.
	Name string
	// Messages and Bytes in it, and their bounds; 0 is no bound.
	Messages, MaxMessages uint64
	Bytes, MaxBytes       uint64
	// Published messages since the stream was made.
	Published uint64
	// Oldest is when the first of Messages came; zero without one.
	Oldest time.Time
}

// Stages returns how the stages stand, in the order of the flow, and the streams. It
// asks the server once a stream and once for every 256 consumers.
func (b *Bus) Stages(ctx context.Context) ([]Stage, []Queue, error) {
	var (
		stages []Stage
		queues []Queue
		dead   map[string]uint64
	)
	for _, name := range flow() {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return nil, nil, unavailable("look at stream "+name, err)
		}
		info := s.CachedInfo()
		if name == StreamDead {
			if info, err = s.Info(ctx, jetstream.WithSubjectFilter(subjectDead+">")); err != nil {
				return nil, nil, unavailable("look at stream "+name, err)
			}
			dead = info.State.Subjects
		}
		queues = append(queues, queueOf(info))
		of, err := stagesOf(ctx, s, name)
		if err != nil {
			return nil, nil, err
		}
		stages = append(stages, of...)
	}
	for subject, n := range dead {
		of := strings.TrimPrefix(subject, subjectDead)
		if i := slices.IndexFunc(stages, func(s Stage) bool { return s.Stream == of }); i >= 0 {
			stages[i].Dead = n
		}
	}
	return stages, queues, nil
}

// stagesOf adds up the consumers of a stream by their stage.
func stagesOf(ctx context.Context, s jetstream.Stream, stream string) ([]Stage, error) {
	var out []Stage
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		name := stageName(c.Name)
		i := slices.IndexFunc(out, func(s Stage) bool { return s.Name == name })
		if i < 0 {
			i, out = len(out), append(out, Stage{Name: name, Stream: stream})
		}
		st := &out[i]
		st.Consumers++
		st.Waiting += c.NumPending
		st.Working += uint64(max(c.NumAckPending, 0))
		st.Delivered += c.Delivered.Consumer
		st.Again += uint64(max(c.NumRedelivered, 0))
		st.Pulls += uint64(max(c.NumWaiting, 0))
		st.MaxWorking += uint64(max(c.Config.MaxAckPending, 0))
	}
	if err := list.Err(); err != nil {
		return nil, unavailable("list consumers of "+stream, err)
	}
	// The server lists them in no order. Results come before links.
	slices.SortFunc(out, func(a, b Stage) int {
		if stream == StreamResults {
			a, b = b, a
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// stageName is a consumer's name without its partition.
func stageName(consumer string) string {
	name, partition, _ := strings.Cut(consumer, "-")
	if partition != "" && strings.Trim(partition, "0123456789") == "" {
		return name
	}
	return consumer
}

func queueOf(info *jetstream.StreamInfo) Queue {
	return Queue{
		Name:     info.Config.Name,
		Messages: info.State.Msgs, MaxMessages: uint64(max(info.Config.MaxMsgs, 0)),
		Bytes: info.State.Bytes, MaxBytes: uint64(max(info.Config.MaxBytes, 0)),
		Published: info.State.LastSeq, Oldest: oldest(info.State),
	}
}

// oldest is the time of a stream's first message. An empty stream has that of one that
// is gone.
func oldest(s jetstream.StreamState) time.Time {
	if s.Msgs == 0 {
		return time.Time{}
	}
	return s.FirstTime
}
