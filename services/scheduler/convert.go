package scheduler

import (
	"encoding/binary"
	"net/netip"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// timestamp returns nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func statsToProto(s frontier.Stats) *crawlv1.CrawlStats {
	statuses := make(map[uint32]uint64, len(s.Statuses))
	for status, n := range s.Statuses {
		statuses[uint32(status)] = n
	}
	return &crawlv1.CrawlStats{
		Ledger: &crawlv1.Ledger{
			Discovered: s.Discovered,
			Queued:     s.Queued,
			Leased:     s.Leased,
			Delayed:    s.Delayed,
			Done:       s.Done,
			Failed:     s.Failed,
			Dropped:    s.Dropped,
		},
		Pages:         s.Pages,
		Items:         s.Items,
		RejectedItems: s.RejectedItems,
		Bytes:         s.Bytes,
		Statuses:      statuses,
		Errors:        s.Errors,
		Fetches:       s.Fetches,
		Refused:       s.Refused,
	}
}

// digest shortens a SHA-256 to what tells one version of a page from the next; 0 for
// none.
func digest(sha256 []byte) uint64 {
	if len(sha256) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(sha256)
}

// maxReasons bounds the reasons that one result may bring: they come from a closed
// set, which a broken parser shall not widen.
const maxReasons = 64

// refusedFrom reads the counts of links that were not taken.
func refusedFrom(m map[string]uint32) map[string]uint64 {
	if len(m) == 0 || len(m) > maxReasons {
		return nil
	}
	out := make(map[string]uint64, len(m))
	for reason, n := range m {
		out[reason] = uint64(n)
	}
	return out
}

// exchangeFrom reads what a result and a report alike tell of an exchange.
func exchangeFrom(m interface {
	GetStatus() uint32
	GetError() crawlv1.ErrorClass
	GetDuration() *durationpb.Duration
	GetRetryAfter() *durationpb.Duration
	GetRemoteAddr() string
}) frontier.Exchange {
	remote, _ := netip.ParseAddrPort(m.GetRemoteAddr()) // zero when there was none
	return frontier.Exchange{
		Address:    remote.Addr(),
		Status:     int(m.GetStatus()),
		Class:      classFromProto(m.GetError()),
		Duration:   m.GetDuration().AsDuration(),
		RetryAfter: m.GetRetryAfter().AsDuration(),
	}
}

// classFromProto relies on equal numbers; a class of a newer fetcher counts as
// other.
func classFromProto(c crawlv1.ErrorClass) crawl.Class {
	if c < 0 || int(c) >= crawl.Classes {
		return crawl.ClassOther
	}
	return crawl.Class(c)
}

// taskFromLease makes the message for a fetcher. A fetcher that reads it after
// half of the lease's time leaves it: what it would fetch could come too late.
func taskFromLease(l frontier.Lease, crawlID string, now time.Time) *crawlv1.FetchTask {
	kind, key := crawlv1.TaskKind_TASK_KIND_PAGE, l.Item.Key
	if l.Item.Mode == frontier.ModeMedia {
		kind = crawlv1.TaskKind_TASK_KIND_MEDIA
	}
	if l.Robots {
		// It is in no ledger, so it has no key there; storage tells visits apart by it.
		kind, key = crawlv1.TaskKind_TASK_KIND_ROBOTS, l.Item.URL.Key()
	}
	task := &crawlv1.FetchTask{
		Ref: &crawlv1.TaskRef{
			CrawlId:    crawlID,
			Revision:   l.Revision,
			Partition:  l.Ref.Partition,
			Host:       l.Ref.Host,
			UrlKey:     key[:],
			Generation: l.Item.Generation,
			Lease:      uint64(l.ID),
			Url:        l.Item.URL.String(),
			Depth:      uint32(l.Item.Depth),
			Attempt:    uint32(l.Item.Attempts + 1),
			Kind:       kind,
			Redirects:  uint32(l.Item.Redirects),
		},
		StartBefore: timestamppb.New(now.Add(l.Deadline.Sub(now) / 2)),
		Cookies:     bus.CookieMessages(l.Cookies),
		Render:      l.Render,
	}
	if h := l.Item.Hop; h != nil {
		task.Ref.Via = h.Via
	}
	if v := l.Item.Visit; v != nil {
		task.Etag, task.LastModified = v.ETag, v.LastModified
	}
	return task
}

func explainToProto(v frontier.View) *schedulerv1.ExplainURLResponse {
	via := ""
	if v.Record.Hop != nil {
		via = v.Record.Hop.Via
	}
	return &schedulerv1.ExplainURLResponse{
		Via:           via,
		RobotsRule:    v.RobotsRule,
		RobotsVerdict: v.Verdict,
		State:         schedulerv1.URLState(v.Record.State),
		Reason:        v.Reason,
		NotBefore:     timestamp(v.NotBefore),
		Attempts:      uint32(v.Record.Attempts),
		Status:        uint32(v.Record.Status),
		Error:         crawlv1.ErrorClass(v.Record.Class),
		Depth:         uint32(v.Record.Depth),
		Priority:      v.Record.Priority,
		FetchedAt:     timestamp(v.Record.FetchedAt),
		Generation:    v.Record.Generation,
		Lease:         uint64(v.Lease),
	}
}
