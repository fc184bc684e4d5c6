package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

const (
	// hostsShown is how many hosts a page lists.
	hostsShown = 100
	// hostsLooked is how many hosts of a crawl are looked at for the slowest of them.
	hostsLooked = 1000
	// hostsRanked is how many of these are shown.
	hostsRanked = 25
)

// hostsPage is what the page about hosts shows.
type hostsPage struct {
	Hosts    []*schedulerv1.HostInfo
	Contains string
	Next     string
}

func (s *Server) hosts(w http.ResponseWriter, r *http.Request) error {
	p := hostsPage{Contains: strings.TrimSpace(r.FormValue("contains"))}
	resp, err := s.deps.Client.Crawls.ListHosts(r.Context(), &schedulerv1.ListHostsRequest{Contains: p.Contains, PageSize: hostsShown, PageToken: r.FormValue("after")})
	if err != nil {
		return err
	}
	p.Hosts, p.Next = resp.GetHosts(), resp.GetNextPageToken()
	return s.render(w, r, http.StatusOK, view{Name: "hosts", Title: "Hosts", Section: "hosts", Live: true, Page: p})
}

// crawlHostsPage is what the page about the hosts of a crawl shows.
type crawlHostsPage struct {
	Head          crawlHead
	Busy, Slow    []*schedulerv1.HostInfo
	Total, Hidden int
	More          bool // there are more hosts than were looked at
}

// crawlHosts shows the busiest and the slowest hosts of a crawl.
func (s *Server) crawlHosts(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "hosts")
	if err != nil {
		return err
	}
	resp, err := s.deps.Client.Crawls.ListHosts(r.Context(), &schedulerv1.ListHostsRequest{Crawl: c.GetId(), PageSize: hostsLooked})
	if err != nil {
		return err
	}
	all := resp.GetHosts()
	p := crawlHostsPage{Head: head, Total: len(all), More: resp.GetNextPageToken() != ""}
	p.Busy = ranked(all, func(a, b *schedulerv1.HostInfo) int {
		return cmp.Or(cmp.Compare(b.GetLeased(), a.GetLeased()), cmp.Compare(b.GetQueued(), a.GetQueued()), cmp.Compare(b.GetPages(), a.GetPages()))
	}, func(h *schedulerv1.HostInfo) bool {
		return h.GetLeased()+uint32(min(h.GetQueued(), 1)) > 0 || h.GetPages() > 0
	})
	p.Slow = ranked(all, func(a, b *schedulerv1.HostInfo) int {
		return cmp.Or(cmp.Compare(b.GetBackoffLevel()+b.GetFailures(), a.GetBackoffLevel()+a.GetFailures()), cmp.Compare(b.GetDelay().AsDuration(), a.GetDelay().AsDuration()))
	}, func(h *schedulerv1.HostInfo) bool {
		return h.GetBackoffLevel()+h.GetFailures() > 0 || h.GetDelay().AsDuration() > 0 || h.GetState() == "dead" || h.GetState() == "blocked"
	})
	return s.render(w, r, http.StatusOK, view{Name: "crawl_hosts", Title: "Hosts of " + head.Name, Section: "crawls", Live: true, Page: p})
}

// ranked returns the first hosts in an order, of those that count.
func ranked(all []*schedulerv1.HostInfo, order func(a, b *schedulerv1.HostInfo) int, counts func(*schedulerv1.HostInfo) bool) []*schedulerv1.HostInfo {
	var out []*schedulerv1.HostInfo
	for _, h := range all {
		if counts(h) {
			out = append(out, h)
		}
	}
	slices.SortStableFunc(out, order)
	return out[:min(len(out), hostsRanked)]
}

// hostForm is what people write of a policy.
type hostForm struct {
	Delay, Concurrency, Until, Note string
	Blocked                         bool
}

// hostPage is what the page about one host shows.
type hostPage struct {
	Host    *schedulerv1.HostInfo
	Form    hostForm
	Problem string
}

func (s *Server) host(w http.ResponseWriter, r *http.Request) error {
	resp, err := s.deps.Client.Crawls.GetHost(r.Context(), &schedulerv1.GetHostRequest{Host: r.FormValue("host")})
	if err != nil {
		return err
	}
	h := resp.GetHost()
	return s.render(w, r, http.StatusOK, view{Name: "host", Title: h.GetHost(), Section: "hosts", Page: hostPage{Host: h, Form: formOf(h.GetPolicy())}})
}

// formOf writes a policy as people do.
func formOf(p *schedulerv1.HostPolicy) hostForm {
	f := hostForm{Note: p.GetNote(), Blocked: p.GetBlocked()}
	if p.GetDelay() != nil {
		f.Delay = p.GetDelay().AsDuration().String()
	}
	if p.GetConcurrency() > 0 {
		f.Concurrency = strconv.FormatUint(uint64(p.GetConcurrency()), 10)
	}
	if p.GetNotBefore() != nil {
		f.Until = p.GetNotBefore().AsTime().UTC().Format(time.RFC3339)
	}
	return f
}

// policy reads a form.
func (f hostForm) policy(now time.Time) (*schedulerv1.HostPolicy, error) {
	p := &schedulerv1.HostPolicy{Note: f.Note, Blocked: f.Blocked}
	if f.Delay != "" {
		d, err := time.ParseDuration(f.Delay)
		if err != nil || d < 0 {
			return nil, crawl.Errorf(crawl.Invalid, "the delay %q: want a time such as 2s or 1m30s", cut(f.Delay, 40))
		}
		p.Delay = durationpb.New(d)
	}
	if f.Concurrency != "" {
		n, err := strconv.ParseUint(f.Concurrency, 10, 32)
		if err != nil || n == 0 {
			return nil, crawl.Errorf(crawl.Invalid, "the number of fetches at a time %q: want a whole number from 1", cut(f.Concurrency, 40))
		}
		m := uint32(n)
		p.Concurrency = &m
	}
	if f.Until != "" {
		t, err := moment(now, f.Until)
		if err != nil {
			return nil, err
		}
		p.NotBefore = timestamppb.New(t)
	}
	return p, nil
}

// moment reads a time as people give it: RFC 3339, a day, or a time from now.
func moment(now time.Time, text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, crawl.Errorf(crawl.Invalid, "the time %q: want one such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a time from now such as 90m", cut(text, 40))
}

// setHost changes how a host is treated.
func (s *Server) setHost(w http.ResponseWriter, r *http.Request) error {
	name := r.PostFormValue("host")
	f := hostForm{
		Delay: strings.TrimSpace(r.PostFormValue("delay")), Concurrency: strings.TrimSpace(r.PostFormValue("concurrency")),
		Until: strings.TrimSpace(r.PostFormValue("until")), Note: strings.TrimSpace(r.PostFormValue("note")), Blocked: r.PostFormValue("blocked") != "",
	}
	req := &schedulerv1.SetHostPolicyRequest{Host: name, Reset_: r.PostFormValue("reset") != ""}
	notice := "policy"
	if r.PostFormValue("clear") != "" {
		req.Policy, notice = &schedulerv1.HostPolicy{}, "cleared"
	} else {
		p, err := f.policy(s.deps.Now())
		if err != nil {
			return s.hostProblem(w, r, name, f, err)
		}
		req.Policy = p
	}
	_, err := s.deps.Client.Crawls.SetHostPolicy(r.Context(), req)
	if crawl.KindOf(err) == crawl.Invalid {
		return s.hostProblem(w, r, name, f, err)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/host?host="+url.QueryEscape(name)+"&done="+notice, http.StatusSeeOther)
	return nil
}

// hostProblem shows the form again, with what was written in it.
func (s *Server) hostProblem(w http.ResponseWriter, r *http.Request, name string, f hostForm, problem error) error {
	resp, err := s.deps.Client.Crawls.GetHost(r.Context(), &schedulerv1.GetHostRequest{Host: name})
	if err != nil {
		return err
	}
	p := hostPage{Host: resp.GetHost(), Form: f, Problem: sentence(problem.Error())}
	return s.render(w, r, http.StatusBadRequest, view{Name: "host", Title: resp.GetHost().GetHost(), Section: "hosts", Page: p})
}
