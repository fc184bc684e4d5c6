package scheduler

import (
	"testing"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// TestListStages: the stages come in the order of the flow, and what they did shows.
func TestListStages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := make(chan struct{}, 1)
	hold := make(chan struct{})
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		select {
		case first <- struct{}{}:
		default:
		}
		<-hold
		return page(ref.GetDepth())
	})
	w.run(1)
	c := b.create(t, testSpec("stages", pageURL(0), pageURL(1), pageURL(2)), true)
	<-first
	var resp *schedulerv1.ListStagesResponse
	var err error
	// The scheduler may not have asked for results yet.
	await(t, "the stage that applies results", func() bool {
		resp, err = b.client.ListStages(t.Context(), &schedulerv1.ListStagesRequest{})
		return err != nil || len(resp.GetStages()) < 5 || resp.GetStages()[4].GetWaitingPulls() > 0
	})
	close(hold)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range resp.GetStages() {
		names = append(names, s.GetStage())
	}
	want := []string{"fetch-http", "fetch-render", "parse", "store", "result", "links", "dead"}
	if len(names) != len(want) {
		t.Fatalf("stages %v, want %v", names, want)
	}
	for i := range want {
		if names[i] != want[i] {
			t.Fatalf("stages %v, want %v", names, want)
		}
	}
	if s := resp.GetStages()[0]; s.GetAckPending() == 0 || s.GetDelivered() == 0 || s.GetPending()+s.GetAckPending() > 3 || s.GetQueue() != "WEIR_TASKS" || s.GetMaxAckPending() == 0 {
		t.Errorf("the stage that fetches: %v", s)
	}
	if s := resp.GetStages()[4]; s.GetConsumers() != 2 {
		t.Errorf("the stage that applies results: %v", s)
	}
	if q := resp.GetQueues()[0]; q.GetQueue() != "WEIR_TASKS" || q.GetMessages() == 0 || q.GetMaxBytes() == 0 || q.GetOldestAt() == nil {
		t.Errorf("the queue of tasks: %v", q)
	}
	again, err := b.client.ListStages(t.Context(), &schedulerv1.ListStagesRequest{})
	if err != nil || again.GetAt().AsTime().Before(resp.GetAt().AsTime()) {
		t.Errorf("asked again: %v, %v", again, err)
	}
	b.wait(t, c.GetId())
}
