package scheduler

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// urls reads all pages of a list.
func (b *bundle) urls(tb testing.TB, req *schedulerv1.ListURLsRequest) (urls []string, calls int) {
	tb.Helper()
	for {
		resp, err := b.client.ListURLs(context.Background(), req)
		if err != nil {
			tb.Fatal(err)
		}
		calls++
		for _, u := range resp.GetUrls() {
			urls = append(urls, u.GetUrl())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return urls, calls
		}
	}
}

// hosts reads all pages of a list.
func (b *bundle) hosts(tb testing.TB, req *schedulerv1.ListHostsRequest) (hosts []string) {
	tb.Helper()
	for {
		resp, err := b.client.ListHosts(context.Background(), req)
		if err != nil {
			tb.Fatal(err)
		}
		for _, h := range resp.GetHosts() {
			hosts = append(hosts, h.GetHost())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			slices.Sort(hosts)
			return hosts
		}
	}
}

// manyHosts answers the pages of host i, of which each n-th is not there.
func manyHosts(n int) func(*crawlv1.TaskRef) *crawlv1.Result {
	return func(ref *crawlv1.TaskRef) *crawlv1.Result {
		var host, i int
		if _, err := fmt.Sscanf(ref.GetUrl(), "http://h%d.example/%d", &host, &i); err != nil || i%n == 0 {
			return &crawlv1.Result{Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX}
		}
		return page(ref.GetDepth())
	}
}

func hostURLs(hosts, pages int) (urls []string) {
	for h := range hosts {
		for i := range pages {
			urls = append(urls, fmt.Sprintf("http://h%d.example/%d", h, i))
		}
	}
	slices.Sort(urls)
	return urls
}

// TestLists: every URL and host once, whatever the size of a page, and only those that
// the filter accepts.
func TestLists(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := hostURLs(10, 6)
	id := b.create(t, testSpec("lists", all...), false).GetId()
	other := b.create(t, testSpec("other", "http://other.example/"), false).GetId()
	for name, tt := range map[string]struct {
		req  *schedulerv1.ListURLsRequest
		want []string
	}{
		"all":               {&schedulerv1.ListURLsRequest{}, all},
		"in small pages":    {&schedulerv1.ListURLsRequest{PageSize: 7}, all},
		"by pattern":        {&schedulerv1.ListURLsRequest{Match: "http://h3.example/*", PageSize: 2}, hostURLs(10, 6)[18:24]},
		"of another state":  {&schedulerv1.ListURLsRequest{States: []schedulerv1.URLState{schedulerv1.URLState_URL_STATE_DONE}}, nil},
		"of another reason": {&schedulerv1.ListURLsRequest{Reason: "robots_denied"}, nil},
	} {
		tt.req.Crawl = id
		got, _ := b.urls(t, tt.req)
		if slices.Sort(got); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %s", name, cmp.Diff(tt.want, got))
		}
	}
	if got, _ := b.urls(t, &schedulerv1.ListURLsRequest{Crawl: other}); len(got) != 1 {
		t.Errorf("of the other crawl: %v", got)
	}
	if got := b.hosts(t, &schedulerv1.ListHostsRequest{Crawl: id, PageSize: 3}); len(got) != 10 {
		t.Errorf("hosts %v", got)
	}
	if got := b.hosts(t, &schedulerv1.ListHostsRequest{PageSize: 4}); len(got) != 11 {
		t.Errorf("all hosts %v", got)
	}
	if got := b.hosts(t, &schedulerv1.ListHostsRequest{Contains: "://h7."}); !slices.Equal(got, []string{"http://h7.example"}) {
		t.Errorf("hosts by name %v", got)
	}
	newWorld(t, b.bus, manyHosts(3)).run(8)
	if _, err := b.client.CloseCrawl(t.Context(), &schedulerv1.CloseCrawlRequest{Crawl: id}); err != nil {
		t.Fatal(err)
	}
	b.wait(t, id)
	failed, _ := b.urls(t, &schedulerv1.ListURLsRequest{Crawl: id, Reason: "status_4xx", PageSize: 1000})
	if len(failed) != 20 {
		t.Errorf("%d URLs with an error: %v", len(failed), failed)
	}
	resp, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: id, Url: failed[0]})
	if err != nil || resp.GetHost().GetState() != "idle" || resp.GetHost().GetPages() != 4 {
		t.Errorf("explanation %v, %v", resp, err)
	}
}

func TestListMistakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, testSpec("lists", "http://a.example/"), false).GetId()
	zero := uint32(0)
	for name, tt := range map[string]struct {
		call func() error
		kind crawl.Kind
	}{
		"urls of no crawl": {func() error {
			_, err := b.client.ListURLs(t.Context(), &schedulerv1.ListURLsRequest{Crawl: "none"})
			return err
		}, crawl.NotFound},
		"urls: token": {func() error {
			_, err := b.client.ListURLs(t.Context(), &schedulerv1.ListURLsRequest{Crawl: id, PageToken: "x"})
			return err
		}, crawl.Invalid},
		"urls: pattern": {func() error {
			_, err := b.client.ListURLs(t.Context(), &schedulerv1.ListURLsRequest{Crawl: id, Match: "re:("})
			return err
		}, crawl.Invalid},
		"urls: state": {func() error {
			_, err := b.client.ListURLs(t.Context(), &schedulerv1.ListURLsRequest{Crawl: id, States: []schedulerv1.URLState{99}})
			return err
		}, crawl.Invalid},
		"hosts: token": {func() error {
			_, err := b.client.ListHosts(t.Context(), &schedulerv1.ListHostsRequest{PageToken: "!"})
			return err
		}, crawl.Invalid},
		"host: no scheme": {func() error {
			_, err := b.client.GetHost(t.Context(), &schedulerv1.GetHostRequest{Host: "a.example"})
			return err
		}, crawl.Invalid},
		"host: unknown": {func() error {
			_, err := b.client.GetHost(t.Context(), &schedulerv1.GetHostRequest{Host: "http://b.example"})
			return err
		}, crawl.NotFound},
		"policy: concurrency": {func() error {
			_, err := b.client.SetHostPolicy(t.Context(), &schedulerv1.SetHostPolicyRequest{Host: "http://a.example", Policy: &schedulerv1.HostPolicy{Concurrency: &zero}})
			return err
		}, crawl.Invalid},
		"policy: delay": {func() error {
			_, err := b.client.SetHostPolicy(t.Context(), &schedulerv1.SetHostPolicyRequest{
				Host: "http://a.example", Policy: &schedulerv1.HostPolicy{Delay: durationpb.New(-1)}})
			return err
		}, crawl.Invalid},
		"dead letters: token": {func() error {
			_, err := b.client.ListDeadLetters(t.Context(), &schedulerv1.ListDeadLettersRequest{PageToken: "x"})
			return err
		}, crawl.Invalid},
		"dead letters: nothing named": {func() error {
			_, err := b.client.RetryDeadLetters(t.Context(), &schedulerv1.RetryDeadLettersRequest{})
			return err
		}, crawl.Invalid},
		"dead letters: none": {func() error {
			_, err := b.client.RetryDeadLetters(t.Context(), &schedulerv1.RetryDeadLettersRequest{Ids: []uint64{7}})
			return err
		}, crawl.NotFound},
		"delete a running crawl": {func() error {
			_, err := b.client.DeleteCrawl(t.Context(), &schedulerv1.DeleteCrawlRequest{Crawl: id})
			return err
		}, crawl.Precondition},
	} {
		if err := tt.call(); crawl.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHostPolicy: a blocked host is left alone, also by the next process, until it is
// unblocked; what was asked for a host that nobody knows yet is kept for it.
func TestHostPolicy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := func(p *schedulerv1.HostPolicy) *schedulerv1.HostInfo {
		t.Helper()
		resp, err := b.client.SetHostPolicy(t.Context(), &schedulerv1.SetHostPolicyRequest{Host: "http://site.example/any", Policy: p})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetHost()
	}
	if h := set(&schedulerv1.HostPolicy{Blocked: true, Note: "asked"}); h.GetState() != "blocked" || h.GetPolicy().GetNote() != "asked" {
		t.Fatalf("host %v", h)
	}
	w := newWorld(t, b.bus, graph(10))
	w.run(4)
	id := b.create(t, testSpec("graph", pageURL(0), "http://free.example/"), true).GetId()
	await(t, "the other host", func() bool { return w.visited()["http://free.example/"] > 0 })
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	got, err := b.client.GetHost(t.Context(), &schedulerv1.GetHostRequest{Host: "http://site.example"})
	if err != nil || got.GetHost().GetState() != "blocked" || got.GetHost().GetQueued() != 1 || w.visited()[pageURL(0)] != 0 {
		t.Fatalf("host %v, %v; visited %v", got, err, w.visited())
	}
	ex, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: id, Url: pageURL(0)})
	if err != nil || ex.GetReason() != "host is blocked: asked" || ex.GetNotBefore() != nil {
		t.Errorf("explanation %v, %v", ex, err)
	}
	set(&schedulerv1.HostPolicy{})
	if c := b.wait(t, id); c.GetStats().GetLedger().GetDone() != 10 {
		t.Errorf("ledger %v", c.GetStats().GetLedger())
	}
}

// await polls until f is true; the test's own deadline is the limit.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s did not come", what)
		}
	}
}

// TestDeleteCrawl: it is gone at once and for good, also when the process ends before
// its rows are.
func TestDeleteCrawl(t *testing.T) {
	t.Parallel()
	b := setup(t)
	newWorld(t, b.bus, graph(50)).run(8)
	id := b.create(t, testSpec("graph", pageURL(0)), true).GetId()
	b.wait(t, id)
	kept := b.create(t, testSpec("kept", pageURL(0)), true).GetId()
	b.wait(t, kept)
	if _, err := b.client.DeleteCrawl(t.Context(), &schedulerv1.DeleteCrawlRequest{Crawl: "graph"}); err != nil {
		t.Fatal(err)
	}
	gone := func() {
		t.Helper()
		if _, err := b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: id}); crawl.KindOf(err) != crawl.NotFound {
			t.Fatalf("the crawl is still there: %v", err)
		}
		list, err := b.client.ListCrawls(t.Context(), &schedulerv1.ListCrawlsRequest{})
		if err != nil || len(list.GetCrawls()) != 1 || list.GetCrawls()[0].GetId() != kept {
			t.Fatalf("crawls %v, %v", list, err)
		}
	}
	gone()
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	gone()
	if urls, _ := b.urls(t, &schedulerv1.ListURLsRequest{Crawl: kept}); len(urls) != 50 {
		t.Errorf("%d URLs of the other crawl", len(urls))
	}
	again := b.create(t, testSpec("graph", pageURL(0)), true).GetId()
	if c := b.wait(t, again); c.GetStats().GetLedger().GetDone() != 50 {
		t.Errorf("a new crawl of the name: %v", c.GetStats())
	}
}

// TestRetryDeadLetters: the URL of a message that was given up has failed, and is
// visited after all once somebody asks for it.
func TestRetryDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var broken atomic.Bool
	broken.Store(true)
	w := newWorld(t, b.bus, graph(3))
	w.refuse = func(url string) error {
		if broken.Load() && url == pageURL(1) {
			return crawl.Errorf(crawl.Invalid, "no stage can read it")
		}
		return nil
	}
	w.run(4)
	id := b.create(t, testSpec("graph", pageURL(0)), false).GetId()
	other := b.create(t, testSpec("other", "http://other.example/"), false).GetId()
	dead := func(of string) []*schedulerv1.DeadLetterInfo {
		t.Helper()
		resp, err := b.client.ListDeadLetters(t.Context(), &schedulerv1.ListDeadLettersRequest{Crawl: of})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetLetters()
	}
	state := func() schedulerv1.URLState {
		t.Helper()
		ex, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: id, Url: pageURL(1)})
		if err != nil {
			t.Fatal(err)
		}
		return ex.GetState()
	}
	await(t, "the failure", func() bool { return state() == schedulerv1.URLState_URL_STATE_FAILED })
	letters := dead(id)
	if len(letters) != 1 || letters[0].GetUrl() != pageURL(1) || letters[0].GetCrawlId() != id || len(dead(other)) != 0 || len(dead("")) != 1 {
		t.Fatalf("dead letters %v", letters)
	}
	broken.Store(false)
	resp, err := b.client.RetryDeadLetters(t.Context(), &schedulerv1.RetryDeadLettersRequest{Ids: []uint64{letters[0].GetId()}})
	if err != nil || resp.GetRetried() != 1 || resp.GetSkipped() != 0 {
		t.Fatalf("retried %v, %v", resp, err)
	}
	await(t, "the visit", func() bool { return state() == schedulerv1.URLState_URL_STATE_DONE })
	if got := dead(""); len(got) != 0 {
		t.Errorf("dead letters left: %v", got)
	}
	resp, err = b.client.RetryDeadLetters(t.Context(), &schedulerv1.RetryDeadLettersRequest{Crawl: id})
	if err != nil || resp.GetRetried() != 0 {
		t.Errorf("retried %v, %v", resp, err)
	}
	c, err := b.client.GetCrawl(t.Context(), &schedulerv1.GetCrawlRequest{Crawl: id})
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, c.GetCrawl())
}

// TestAddressesAreLookedUp for a cap by address: ten names, one address, two at a time.
func TestAddressesAreLookedUp(t *testing.T) {
	t.Parallel()
	b := setupWith(t, func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "h9.example." {
			return nil, fmt.Errorf("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	})
	var now, most atomic.Int64
	site := manyHosts(100)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-time.After(time.Millisecond) // long enough for others to come
		now.Add(-1)
		return site(ref)
	})
	w.run(16)
	spec := testSpec("hosts", hostURLs(9, 5)...)
	spec.Politeness.ConcurrencyPerIp = 2
	c := b.wait(t, b.create(t, spec, true).GetId())
	if most.Load() > 2 || c.GetStats().GetFetches() != 45 {
		t.Errorf("%d at once, %d fetches", most.Load(), c.GetStats().GetFetches())
	}
	spec = proto.CloneOf(spec)
	spec.Name, spec.Seeds.Urls = "unknown", []string{"http://h9.example/1"}
	if c = b.wait(t, b.create(t, spec, true).GetId()); c.GetStats().GetPages() != 1 {
		t.Errorf("the host without an address: %v", c.GetStats())
	}
}
