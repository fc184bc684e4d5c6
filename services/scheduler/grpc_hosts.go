package scheduler

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// maxNote bounds the note of a host's policy, maxPolicyDelay its delay: beyond it
	// is what blocking is for.
	maxNote        = 1024
	maxPolicyDelay = 24 * time.Hour
	// hostsAtOnce is how many hosts one turn of the loop looks at.
	hostsAtOnce = 256
)

// originOf reads the host that a call names.
func originOf(name string) (weburl.URL, error) {
	u, err := weburl.New(weburl.Options{}).Parse(strings.TrimSpace(name))
	if err != nil {
		return weburl.URL{}, crawl.Errorf(crawl.Invalid, "host: %q is no scheme://name[:port], such as https://shop.example: %w", weburl.Shown(name), err)
	}
	return weburl.FromCanonical(u.Origin() + "/")
}

// hostRef is where a host is kept.
func hostRef(partition uint32, u weburl.URL) frontier.HostRef {
	return frontier.HostRef{Partition: partition, Host: u.HostID()}
}

// GetHost implements schedulerv1.CrawlServiceServer.
func (s *Service) GetHost(ctx context.Context, req *schedulerv1.GetHostRequest) (*schedulerv1.GetHostResponse, error) {
	u, err := originOf(req.GetHost())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, func(ses *session) uint32 { return ses.partition(u) }, req, schedulerv1.CrawlServiceClient.GetHost,
		func(ctx context.Context, _ *schedulerv1.GetHostRequest) (out *schedulerv1.GetHostResponse, err error) {
			err = s.read(ctx, func(l *loop, now time.Time) error {
				info, err := l.host(ctx, now, 0, u)
				out = &schedulerv1.GetHostResponse{Host: info}
				return err
			})
			return out, err
		})
}

// host reads one host of a partition that is owned.
func (l *loop) host(ctx context.Context, now time.Time, no frontier.CrawlNo, u weburl.URL) (*schedulerv1.HostInfo, error) {
	ref := hostRef(weburl.Partition(u.Site(), l.partitions), u)
	ref.Crawl = no
	if !l.f.Owns(ref.Partition) {
		return nil, errMoved
	}
	hosts, err := l.store.Hosts(ctx, []frontier.HostRef{ref})
	if err != nil {
		return nil, err
	}
	v := l.f.Host(now, no, hosts[0])
	if v.Origin == "" {
		return nil, crawl.Errorf(crawl.NotFound, "no crawl has had a URL on %s", u.Origin())
	}
	return hostToProto(v), nil
}

// SetHostPolicy implements schedulerv1.CrawlServiceServer.
func (s *Service) SetHostPolicy(ctx context.Context, req *schedulerv1.SetHostPolicyRequest) (*schedulerv1.SetHostPolicyResponse, error) {
	u, err := originOf(req.GetHost())
	if err != nil {
		return nil, err
	}
	policy, err := policyFrom(req.GetPolicy())
	if err != nil {
		return nil, err
	}
	return route(ctx, s, func(ses *session) uint32 { return ses.partition(u) }, req, schedulerv1.CrawlServiceClient.SetHostPolicy,
		func(ctx context.Context, req *schedulerv1.SetHostPolicyRequest) (*schedulerv1.SetHostPolicyResponse, error) {
			var info *schedulerv1.HostInfo
			err := s.do(ctx, func(l *loop, now time.Time) (err error) {
				info, err = l.setPolicy(ctx, now, u, policy, req.GetReset_())
				return err
			})
			if err != nil {
				return nil, err
			}
			s.deps.Log.Info("changed the policy of a host", "host", u.Origin(), "policy", req.GetPolicy().String(), "reset", req.GetReset_())
			return &schedulerv1.SetHostPolicyResponse{Host: info}, nil
		})
}

// setPolicy changes a host of a partition that is owned.
func (l *loop) setPolicy(ctx context.Context, now time.Time, u weburl.URL, p frontier.HostPolicy, reset bool) (*schedulerv1.HostInfo, error) {
	ref := hostRef(weburl.Partition(u.Site(), l.partitions), u)
	// The row is read and written beside memory when no crawl has work on the host:
	// what changed before must be in the store, and what changes here too.
	if err := l.write(ctx); err != nil {
		return nil, err
	}
	hosts, err := l.store.Hosts(ctx, []frontier.HostRef{ref})
	if err != nil {
		return nil, err
	}
	row := hosts[0].Host
	row.Partition, row.Host, row.Origin = ref.Partition, ref.Host, u.Origin()
	if !l.f.SetHostPolicy(now, row, p, reset) {
		return nil, errMoved
	}
	if err := l.write(ctx); err != nil {
		return nil, err
	}
	return l.host(ctx, now, 0, u)
}

// policyFrom checks a policy.
func policyFrom(p *schedulerv1.HostPolicy) (frontier.HostPolicy, error) {
	out := frontier.HostPolicy{
		Delay: p.GetDelay().AsDuration(), Concurrency: int(p.GetConcurrency()), Blocked: p.GetBlocked(), Note: p.GetNote(),
	}
	if p.GetNotBefore() != nil {
		out.NotBefore = p.GetNotBefore().AsTime()
	}
	switch {
	case out.Delay < 0 || out.Delay > maxPolicyDelay:
		return out, crawl.Errorf(crawl.Invalid, "policy.delay: %s is not between 0s and %s; blocked keeps a host alone for good", out.Delay, maxPolicyDelay)
	case p.GetDelay().CheckValid() != nil && p.GetDelay() != nil:
		return out, crawl.Errorf(crawl.Invalid, "policy.delay: %w", p.GetDelay().CheckValid())
	case p != nil && p.Concurrency != nil && p.GetConcurrency() == 0:
		return out, crawl.Errorf(crawl.Invalid, "policy.concurrency: 0 would be no fetch at all: set blocked")
	case p.GetConcurrency() > 1<<16:
		return out, crawl.Errorf(crawl.Invalid, "policy.concurrency: %d is over %d", p.GetConcurrency(), 1<<16)
	case len(out.Note) > maxNote:
		return out, crawl.Errorf(crawl.Invalid, "policy.note: %d bytes long, at most %d", len(out.Note), maxNote)
	}
	return out, nil
}

// ListHosts implements schedulerv1.CrawlServiceServer. Its token is the host that was
// looked at last; partitions of other replicas are read there.
func (s *Service) ListHosts(ctx context.Context, req *schedulerv1.ListHostsRequest) (*schedulerv1.ListHostsResponse, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	var no frontier.CrawlNo
	if req.GetCrawl() != "" {
		e, err := s.crawl(ctx, req.GetCrawl())
		if err != nil {
			return nil, err
		}
		no = e.no
	}
	p, err := parsePlace(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &schedulerv1.ListHostsResponse{}
	size := pageSize(req.GetPageSize())
	out.NextPageToken, err = s.pages(ctx, p, func(ctx context.Context, at place) (string, int, error) {
		part, err := s.hostsIn(ctx, no, at, &schedulerv1.ListHostsRequest{
			Crawl: req.GetCrawl(), Contains: req.GetContains(), PageSize: uint32(size - len(out.Hosts)), PageToken: at.String(),
		})
		out.Hosts = append(out.Hosts, part.GetHosts()...)
		return part.GetNextPageToken(), size - len(out.Hosts), err
	})
	return out, err
}

// hostsIn reads hosts of one partition, here or at the replica that owns it.
func (s *Service) hostsIn(ctx context.Context, no frontier.CrawlNo, at place, req *schedulerv1.ListHostsRequest) (*schedulerv1.ListHostsResponse, error) {
	return route(ctx, s, func(*session) uint32 { return at.partition }, req, schedulerv1.CrawlServiceClient.ListHosts,
		func(ctx context.Context, req *schedulerv1.ListHostsRequest) (*schedulerv1.ListHostsResponse, error) {
			return s.hostsHere(ctx, no, at, req)
		})
}

// hostsHere reads hosts of a partition that is owned: those that the store has, as
// memory knows them.
func (s *Service) hostsHere(ctx context.Context, no frontier.CrawlNo, at place, req *schedulerv1.ListHostsRequest) (*schedulerv1.ListHostsResponse, error) {
	out := &schedulerv1.ListHostsResponse{}
	size := int(req.GetPageSize())
	for range maxReads {
		var rows []frontier.HostState
		err := s.askStore(func(st frontier.Store) (err error) {
			rows, err = st.ScanHosts(ctx, frontier.HostRef{Partition: at.partition, Crawl: no, Host: at.host}, hostsAtOnce)
			return err
		})
		if err != nil {
			return nil, err
		}
		full := false
		err = s.read(ctx, func(l *loop, now time.Time) error {
			if !l.f.Owns(at.partition) {
				return errMoved
			}
			for i := range rows {
				v := l.f.Host(now, no, rows[i])
				at.host = rows[i].Host.Host
				if strings.Contains(v.Origin, req.GetContains()) {
					out.Hosts = append(out.Hosts, hostToProto(v))
				}
				if full = len(out.Hosts) == size; full {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !full && len(rows) < hostsAtOnce {
			return out, nil
		}
		if full {
			break
		}
	}
	out.NextPageToken = at.String()
	return out, nil
}

// hostToProto writes a host.
func hostToProto(v frontier.HostView) *schedulerv1.HostInfo {
	info := &schedulerv1.HostInfo{
		Host:         v.Origin,
		State:        v.State,
		Queued:       v.Queued,
		Leased:       uint32(v.Leased),
		Pages:        v.Pages,
		Delay:        durationpb.New(v.Delay),
		Concurrency:  uint32(v.Concurrency),
		BackoffLevel: uint32(v.Level),
		Failures:     uint32(v.Fails),
		NextAt:       timestamp(v.NextAt),
		Robots:       robotsName(v.Robots),
		RobotsUntil:  timestamp(v.RobotsUntil),
		Address:      v.Address,
	}
	if v.Adaptive > 0 {
		info.AdaptiveDelay = durationpb.New(v.Adaptive)
	}
	if v.CrawlDelay > 0 {
		info.CrawlDelay = durationpb.New(v.CrawlDelay)
	}
	if p := v.Policy; p != (frontier.HostPolicy{}) {
		info.Policy = &schedulerv1.HostPolicy{NotBefore: timestamp(p.NotBefore), Blocked: p.Blocked, Note: p.Note}
		if p.Delay > 0 {
			info.Policy.Delay = durationpb.New(p.Delay)
		}
		if n := uint32(p.Concurrency); n > 0 {
			info.Policy.Concurrency = &n
		}
	}
	return info
}

func robotsName(s frontier.RobotsState) string {
	switch s {
	case frontier.RobotsOK:
		return "ok"
	case frontier.RobotsNone:
		return "none"
	case frontier.RobotsUnreachable:
		return "unreachable"
	default:
		return "unknown"
	}
}
