package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// fetchFlags are those of `weir fetch`.
type fetchFlags struct {
	remoteFlags
	spec, method, data         string
	sets, headers              []string
	nets                       fetcher.Networks
	follow                     uint32
	robots, render, body, json bool
}

func (a *app) fetchCmd() *cobra.Command {
	var f fetchFlags
	cmd := &cobra.Command{
		Use:   "fetch URL",
		Short: "Fetch one page now and show the exchange",
		Long: `Fetch one page now and show the exchange: the request as it was sent, redirects, the
response, how long its steps took, and what robots.txt says of the URL. It is fetched
from this machine, or by a running fetcher with --server, as the fetch section of the
spec says. robots.txt is shown and not obeyed: you answer for politeness.`,
		Example: `  weir fetch https://shop.example/ --follow 10
  weir fetch https://shop.example/api --data '{"page": 2}' --header 'X-Api: 1'
  weir fetch https://shop.example/ --spec shop.yaml --body > page.html`,
		Args: exact("a URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.fetch(cmd.Context(), f, args[0]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.spec, "spec", "", "the spec whose fetch section says how; without one, the defaults")
	fs.StringArrayVar(&f.sets, "set", nil, "override a field of the spec: fetch.timeout=5s; may be repeated")
	fs.StringVar(&f.server, "server", "", "address of a fetcher, or of weir up, that fetches instead of this machine")
	f.services = []string{certs.Fetcher, certs.Scheduler}
	f.register(fs)
	fs.StringVar(&f.method, "method", "", "GET or POST (default: POST with --data, else GET)")
	fs.StringVar(&f.data, "data", "", "body of the request")
	fs.StringArrayVar(&f.headers, "header", nil, "more of the request's header: 'Name: value'; may be repeated")
	fs.Uint32Var(&f.follow, "follow", 0, "follow at most this many redirects")
	fs.BoolVar(&f.robots, "robots", true, "read the host's robots.txt too")
	fs.BoolVar(&f.render, "render", false, "go through a browser; with --server, a fetcher of the pool render is needed")
	fs.BoolVar(&f.body, "body", false, "print the body alone, at most 1 MiB of it")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	var std flag.FlagSet
	std.Var(&f.nets, "allow-net", "private or loopback network that may be visited, as CIDR; may be repeated")
	fs.AddGoFlagSet(&std)
	return cmd
}

func (a *app) fetch(ctx context.Context, f fetchFlags, url string) error {
	req, err := f.request(url)
	if err != nil {
		return err
	}
	resp, err := a.fetched(ctx, f, req)
	if err != nil {
		return rpc.FromStatus(err)
	}
	if r := resp.GetFetch(); r.GetError() != 0 && r.GetStatus() == 0 {
		return fmt.Errorf("%s: %s: %s", resp.GetUrl(), errorName(r.GetError()), r.GetErrorDetail())
	}
	switch {
	case f.json:
		if !f.body {
			resp.Body = nil
		}
		return writeProtoLines(a.Stdout, []*fetcherv1.FetchResponse{resp})
	case f.body:
		_, err := a.Stdout.Write(resp.GetBody())
		return err
	}
	_, err = fmt.Fprint(a.Stdout, exchangeText(resp))
	return err
}

// request makes the message of the flags.
func (f *fetchFlags) request(url string) (*fetcherv1.FetchRequest, error) {
	var s *crawlv1.CrawlSpec
	var err error
	if f.spec == "" {
		s, err = spec.FromURLs([]string{url}, f.sets, readFiles("."))
	} else {
		s, err = readSpec([]string{f.spec}, f.sets)
	}
	if err != nil {
		return nil, err
	}
	req := &fetcherv1.FetchRequest{
		Url: url, Options: s.GetFetch(), Follow: f.follow, Robots: f.robots && !f.body, Render: f.render,
		Method: strings.ToUpper(f.method), Body: []byte(f.data),
	}
	if req.Options == nil {
		req.Options = &crawlv1.Fetch{}
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || name == "":
			return nil, crawl.Errorf(crawl.Invalid, "--header %q is not 'Name: value'", h)
		case strings.EqualFold(name, "Content-Type"):
			req.ContentType = value
		case strings.EqualFold(name, "User-Agent"):
			req.Options.UserAgent = value
		default:
			if req.Options.Headers == nil {
				req.Options.Headers = map[string]string{}
			}
			req.Options.Headers[name] = value
		}
	}
	if f.data == "" {
		return req, nil
	}
	if req.Method == "" {
		req.Method = "POST"
	}
	if req.ContentType == "" {
		req.ContentType = "application/x-www-form-urlencoded"
		if json.Valid(req.GetBody()) {
			req.ContentType = "application/json"
		}
	}
	return req, nil
}

// fetched asks a fetcher, in this process or a running one.
func (a *app) fetched(ctx context.Context, f fetchFlags, req *fetcherv1.FetchRequest) (resp *fetcherv1.FetchResponse, err error) {
	if f.server != "" {
		c, err := a.dial(f.remoteFlags)
		if err != nil {
			return nil, err
		}
		resp, err = c.Fetcher.Fetch(ctx, req)
		return resp, errors.Join(err, c.Close())
	}
	if err := deniedSeed(&crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: []string{req.GetUrl()}}}, f.nets); err != nil {
		return nil, err
	}
	cfg := fetcher.DefaultConfig()
	cfg.AllowNets = f.nets
	if f.render {
		cfg.Pool = fetcher.RenderPool
		if err := cfg.Browser.Check(); err != nil {
			return nil, err
		}
	}
	svc, err := fetcher.New(cfg, fetcher.Deps{Log: slog.New(slog.DiscardHandler), Version: a.Version})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(running) }()
	resp, err = svc.Fetch(ctx, req)
	stop()
	return resp, errors.Join(err, <-ended) // it closes connections and the browser
}

// exchangeText shows an exchange, for people.
func exchangeText(resp *fetcherv1.FetchResponse) string {
	f := resp.GetFetch()
	var b strings.Builder
	for _, h := range resp.GetHops() {
		fmt.Fprintf(&b, "%d %s\n  -> %s\n", h.GetFetch().GetStatus(), h.GetUrl(), h.GetFetch().GetRedirectUrl())
	}
	if len(resp.GetHops()) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("> " + requestLine(resp) + "\n")
	writeHeaders(&b, "> ", f.GetRequestHeaders())
	fmt.Fprintf(&b, "\n< %s %d\n", f.GetProtocol(), f.GetStatus())
	writeHeaders(&b, "< ", f.GetResponseHeaders())
	b.WriteByte('\n')
	if f.GetRedirectUrl() != "" {
		fmt.Fprintf(&b, "redirects to %s\n", f.GetRedirectUrl())
	}
	if resp.GetRobotsVerdict() != "" {
		fmt.Fprintf(&b, "robots.txt   %s\n", robotsText(resp))
	}
	fmt.Fprintf(&b, "body         %s\n", bodyText(resp))
	fmt.Fprintf(&b, "from         %s over %s\n", f.GetRemoteAddr(), transport(resp.GetUrl(), f.GetProtocol()))
	if f.GetRendered() {
		fmt.Fprintf(&b, "browser      %d requests\n", f.GetRequests())
	}
	fmt.Fprintf(&b, "time         %s\n", timeText(f))
	if f.GetError() != 0 {
		fmt.Fprintf(&b, "error        %s: %s\n", errorName(f.GetError()), f.GetErrorDetail())
	}
	return b.String()
}

func writeHeaders(b *strings.Builder, mark string, list []*crawlv1.Header) {
	for _, h := range list {
		fmt.Fprintf(b, "%s%s: %s\n", mark, h.GetName(), printable(h.GetValue()))
	}
}

// printable keeps what a site sends from moving the cursor of a terminal.
func printable(value []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(string(value), "\ufffd"))
}

// requestLine is that of the last exchange.
func requestLine(resp *fetcherv1.FetchResponse) string {
	u, err := weburl.FromCanonical(resp.GetUrl())
	if err != nil {
		return "GET " + resp.GetUrl()
	}
	method := "GET"
	r, ok := u.Request()
	if ok {
		method = r.Method
	}
	line := method + " " + u.WithoutRequest().PathQuery()
	if n := len(r.Body); n > 0 {
		line += fmt.Sprintf("  (with %d bytes)", n)
	}
	return line
}

func robotsText(resp *fetcherv1.FetchResponse) string {
	verdict, line := resp.GetRobotsVerdict(), resp.GetRobotsRule()
	switch {
	case verdict == "none":
		return "none: all is allowed"
	case line == "":
		return verdict + " by no line"
	case verdict == "unreachable":
		return verdict + ": " + line + "; a crawl would visit nothing"
	}
	return verdict + " by " + line
}

func bodyText(resp *fetcherv1.FetchResponse) string {
	out := summary.Bytes(resp.GetSize())
	if w := resp.GetWireSize(); w > 0 && w != resp.GetSize() {
		out += fmt.Sprintf(" (%s over the network)", summary.Bytes(w))
	}
	if resp.GetFetch().GetTruncated() {
		out += ", cut"
	}
	if resp.GetCharset() != "" {
		out += ", " + resp.GetCharset()
	}
	return out
}

func transport(url, protocol string) string {
	if strings.HasPrefix(url, "https:") {
		return protocol + " and TLS"
	}
	return protocol
}

// timeText lists the steps that there were.
func timeText(f *crawlv1.FetchResult) string {
	t := f.GetTimings()
	steps := []struct {
		name string
		took *durationpb.Duration
	}{
		{"name", t.GetDns()}, {"connect", t.GetConnect()}, {"TLS", t.GetTls()}, {"first byte", t.GetFirstByte()}, {"body", t.GetBody()},
	}
	out := short(f.GetDuration())
	sep := ": "
	for _, s := range steps {
		if s.took != nil {
			out += sep + s.name + " " + short(s.took)
			sep = ", "
		}
	}
	if t.GetReused() {
		out += sep + "on a connection that was there"
	}
	return out
}

func short(d *durationpb.Duration) string {
	return d.AsDuration().Round(10 * time.Microsecond).String()
}
