package scheduler

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// stagesAge is how old an answer to ListStages may be: each costs the server of the
// bus a request a stream, however many ask.
const stagesAge = time.Second

// stagesTime bounds one look at the bus.
const stagesTime = 5 * time.Second

// stagesView is the last look at the stages. The zero value has none.
type stagesView struct {
	mu   sync.Mutex
	last *schedulerv1.ListStagesResponse
	at   time.Time // with the monotonic clock
}

// ListStages implements schedulerv1.CrawlServiceServer.
func (s *Service) ListStages(ctx context.Context, _ *schedulerv1.ListStagesRequest) (*schedulerv1.ListStagesResponse, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	s.stages.mu.Lock()
	defer s.stages.mu.Unlock()
	if now := s.deps.Now(); s.stages.last != nil && now.Sub(s.stages.at) < stagesAge {
		return s.stages.last, nil
	}
	ctx, cancel := context.WithTimeout(ctx, stagesTime)
	defer cancel()
	stages, queues, err := s.deps.Bus.Stages(ctx)
	if err != nil {
		return nil, err
	}
	now := s.deps.Now()
	out := &schedulerv1.ListStagesResponse{At: timestamp(now)}
	for _, st := range stages {
		out.Stages = append(out.Stages, stageToProto(st))
	}
	for _, q := range queues {
		out.Queues = append(out.Queues, queueToProto(q))
	}
	s.stages.last, s.stages.at = out, now
	return out, nil
}

func stageToProto(s bus.Stage) *schedulerv1.StageInfo {
	return &schedulerv1.StageInfo{
		Stage: s.Name, Queue: s.Stream, Pending: s.Waiting, AckPending: s.Working, Delivered: s.Delivered, Redelivered: s.Again,
		WaitingPulls: s.Pulls, MaxAckPending: s.MaxWorking, Consumers: uint32(s.Consumers), DeadLetters: s.Dead,
	}
}

func queueToProto(q bus.Queue) *schedulerv1.QueueInfo {
	out := &schedulerv1.QueueInfo{
		Queue: q.Name, Messages: q.Messages, Bytes: q.Bytes, MaxBytes: q.MaxBytes, MaxMessages: q.MaxMessages, Published: q.Published,
	}
	if !q.Oldest.IsZero() {
		out.OldestAt = timestamppb.New(q.Oldest)
	}
	return out
}
