package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func (a *app) hostsCmd() *cobra.Command {
	var (
		contains string
		limit    uint64
		asJSON   bool
	)
	cmd := a.clientCmd("hosts [CRAWL]", "List the hosts of a crawl, or of all, and how they are treated", nil, func(ctx context.Context, c *client.Client, args []string) error {
		name, err := optional(args, "weir hosts")
		if err != nil {
			return err
		}
		now := time.Now()
		return c.Hosts(ctx, &schedulerv1.ListHostsRequest{Crawl: name, Contains: contains}, limit, func(hosts []*schedulerv1.HostInfo) error {
			if asJSON {
				return writeProtoLines(a.Stdout, hosts)
			}
			return a.writeHosts(now, hosts)
		})
	})
	cmd.Long = `List the hosts of a crawl, or of all crawls: what each waits for, its URLs queued
and in flight, the time between fetches as it is now, the next fetch, what is
known of robots.txt, and back-offs.

States: ready; visited (as many fetches run as may); delay; snoozed (429, 503 or
failures to connect); robots (robots.txt comes first); domain_cap, ip_cap (other
hosts of the domain or address run); blocked (weir host --block); idle; dead (too
many failures to connect).`
	fs := cmd.Flags()
	fs.StringVar(&contains, "contains", "", "only hosts with this in scheme://name[:port]")
	fs.Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// optional returns the one argument that a command may have.
func optional(args []string, command string) (string, error) {
	switch len(args) {
	case 0:
		return "", nil
	case 1:
		return args[0], nil
	}
	return "", crawl.Errorf(crawl.Invalid, "%s takes one CRAWL (id or name) at most: see %s --help", command, command)
}

// writeHosts writes one page of the table.
func (a *app) writeHosts(now time.Time, hosts []*schedulerv1.HostInfo) error {
	if len(hosts) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOST\tSTATE\tQUEUED\tIN FLIGHT\tDELAY\tNEXT\tROBOTS\tBACK-OFF") // Flush tells
	for _, h := range hosts {
		next := "-"
		if h.GetNextAt() != nil {
			next = "now"
			if d := h.GetNextAt().AsTime().Sub(now); d > 0 {
				next = "in " + summary.Duration(d)
			}
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%d\n", h.GetHost(), h.GetState(), h.GetQueued(), h.GetLeased(),
			h.GetDelay().AsDuration().Round(time.Millisecond), next, h.GetRobots(), h.GetBackoffLevel())
	}
	return w.Flush()
}

// hostFlags are those of `weir host`.
type hostFlags struct {
	delay          time.Duration
	concurrency    uint32
	block, unblock bool
	until, note    string
	clear, reset   bool
	json           bool
}

func (a *app) hostCmd() *cobra.Command {
	var (
		f   hostFlags
		cmd *cobra.Command
	)
	cmd = a.clientCmd("host HOST", "Show how a host is treated, or change it for all crawls at once", exact("a HOST (scheme://name[:port])"), func(ctx context.Context, c *client.Client, args []string) error {
		return a.host(ctx, c, args[0], f, cmd.Flags().Changed)
	})
	cmd.Long = `Show how a host is treated, or change it for all crawls at once. The change is kept
until --clear. It only ever makes things gentler: the longest delay and the lowest
concurrency that anybody asks for count.`
	cmd.Example = `  weir host https://shop.example
  weir host https://shop.example --delay 10s --note "asked by their admin"
  weir host https://shop.example --block
  weir host https://shop.example --until 2h
  weir host https://shop.example --clear --reset`
	fs := cmd.Flags()
	fs.DurationVar(&f.delay, "delay", 0, "least time between fetches")
	fs.Uint32Var(&f.concurrency, "concurrency", 0, "most fetches at a time")
	fs.BoolVar(&f.block, "block", false, "no fetch at all: URLs stay queued")
	fs.BoolVar(&f.unblock, "unblock", false, "take --block back")
	fs.StringVar(&f.until, "until", "", "no fetch before this time: RFC 3339, a day, or a time from now such as 90m")
	fs.StringVar(&f.note, "note", "", "for people: why, by whom")
	fs.BoolVar(&f.clear, "clear", false, "take back what was asked for before")
	fs.BoolVar(&f.reset, "reset", false, "forget what the host's answers taught: back-off, failures, snooze, an unreachable robots.txt")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// host shows or changes one host.
func (a *app) host(ctx context.Context, c *client.Client, name string, f hostFlags, changed func(string) bool) error {
	policy := false
	for _, flag := range []string{"delay", "concurrency", "block", "unblock", "until", "note"} {
		policy = policy || changed(flag)
	}
	if f.block && f.unblock {
		return crawl.Errorf(crawl.Invalid, "--block and --unblock contradict each other")
	}
	info, err := c.Crawls.GetHost(ctx, &schedulerv1.GetHostRequest{Host: name})
	unknown := crawl.KindOf(err) == crawl.NotFound
	if err != nil && (!unknown || !policy && !f.clear && !f.reset) {
		return err
	}
	h := info.GetHost()
	if policy || f.clear || f.reset {
		req := &schedulerv1.SetHostPolicyRequest{Host: name, Reset_: f.reset, Policy: &schedulerv1.HostPolicy{}}
		if p := h.GetPolicy(); p != nil && !f.clear {
			req.Policy = proto.CloneOf(p)
		}
		if err := f.apply(time.Now(), req.Policy, changed); err != nil {
			return err
		}
		resp, err := c.Crawls.SetHostPolicy(ctx, req)
		if err != nil {
			return err
		}
		h = resp.GetHost()
	}
	if f.json {
		return writeProtoLines(a.Stdout, []*schedulerv1.HostInfo{h})
	}
	t := a.rows()
	t.add("host", h.GetHost())
	hostRows(t, "", time.Now(), h)
	return t.w.Flush()
}

// apply changes what was given and leaves the rest of a policy as it is.
func (f hostFlags) apply(now time.Time, p *schedulerv1.HostPolicy, changed func(string) bool) error {
	if f.delay < 0 {
		return crawl.Errorf(crawl.Invalid, "--delay %s: want 0s or more", f.delay)
	}
	if changed("delay") {
		p.Delay = nil
		if f.delay > 0 {
			p.Delay = durationpb.New(f.delay)
		}
	}
	if changed("concurrency") {
		p.Concurrency = nil
		if f.concurrency > 0 {
			p.Concurrency = &f.concurrency
		}
	}
	if f.block || f.unblock {
		p.Blocked = f.block
	}
	if changed("note") {
		p.Note = f.note
	}
	if changed("until") {
		p.NotBefore = nil
		if f.until != "" {
			t, err := when(now, "until", f.until)
			if err != nil {
				return err
			}
			p.NotBefore = timestamppb.New(t)
		}
	}
	return nil
}

// hostRows writes how a host is treated, each name after prefix.
func hostRows(t rows, prefix string, now time.Time, h *schedulerv1.HostInfo) {
	add := func(name, value string) { t.add(prefix+name, value) }
	positive := func(name string, d *durationpb.Duration) {
		if d.AsDuration() > 0 {
			add(name, d.AsDuration().Round(time.Millisecond).String())
		}
	}
	add("state", h.GetState())
	add("urls", fmt.Sprintf("%d queued, %d in flight, %d pages", h.GetQueued(), h.GetLeased(), h.GetPages()))
	add("pace", fmt.Sprintf("%s between fetches, %d at a time", h.GetDelay().AsDuration().Round(time.Millisecond), h.GetConcurrency()))
	positive("adaptive delay", h.GetAdaptiveDelay())
	positive("crawl-delay", h.GetCrawlDelay())
	if h.GetNextAt() != nil {
		add("next fetch", moment(now, h.GetNextAt().AsTime()))
	}
	if h.GetBackoffLevel() > 0 {
		add("back-off", fmt.Sprintf("%d by 429 or 503 in a row", h.GetBackoffLevel()))
	}
	if h.GetFailures() > 0 {
		add("failures", fmt.Sprintf("%d to connect in a row", h.GetFailures()))
	}
	robots := h.GetRobots()
	if h.GetRobotsUntil() != nil {
		robots += ", until " + moment(now, h.GetRobotsUntil().AsTime())
	}
	add("robots.txt", robots)
	add("address", h.GetAddress())
	p := h.GetPolicy()
	positive("asked delay", p.GetDelay())
	if p.GetConcurrency() > 0 {
		add("asked concurrency", fmt.Sprint(p.GetConcurrency()))
	}
	if p.GetNotBefore() != nil {
		add("asked pause", "until "+moment(now, p.GetNotBefore().AsTime()))
	}
	if p.GetBlocked() {
		add("asked block", "yes")
	}
	add("note", p.GetNote())
}
