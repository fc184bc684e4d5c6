package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// maxAttempts bounds the attempts that an explanation lists; a page that is visited
// again for years has more than anybody reads.
const maxAttempts = 100

func (a *app) explainCmd() *cobra.Command {
	var asJSON bool
	cmd := a.clientCmd("explain CRAWL URL", "Tell what a crawl knows of a URL, and why", exact("a CRAWL (id or name)", "a URL"), func(ctx context.Context, c *client.Client, args []string) error {
		r, err := c.Crawls.ExplainURL(ctx, &schedulerv1.ExplainURLRequest{Crawl: args[0], Url: args[1]})
		if err != nil {
			return err
		}
		log, err := attemptsAt(ctx, c, args[0], r)
		if err != nil {
			// What the frontier says is true without the crawl log.
			a.note("the attempts cannot be read: %s", err)
		}
		if asJSON {
			return a.writeExplanationJSON(r, log)
		}
		if r.GetRobotsVerdict() == "unreachable" || r.GetError() == crawlv1.ErrorClass_ERROR_CLASS_ROBOTS_UNREACHABLE {
			r.RobotsRule = robotsTrouble(ctx, c, args[0], r.GetCanonicalUrl())
		}
		return a.writeExplanation(time.Now(), r, log)
	})
	cmd.Long = `Tell what a crawl knows of a URL, and why: its canonical form, the rule that
decided about its scope, what robots.txt says, where it stands and when it is
visited next, how its host is treated, and every attempt with its outcome. The
URL may be one that the crawl has never seen.`
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object; log has the attempts")
	return cmd
}

// attemptsAt reads the crawl log of a URL, its last maxAttempts entries.
func attemptsAt(ctx context.Context, c *client.Client, name string, r *schedulerv1.ExplainURLResponse) ([]*storagev1.PageInfo, error) {
	if r.GetState() == schedulerv1.URLState_URL_STATE_UNSPECIFIED {
		return nil, nil
	}
	return logOf(ctx, c, name, r.GetCanonicalUrl())
}

// robotsTrouble says why the robots.txt for a page was not had, where this crawl asked
// for it.
func robotsTrouble(ctx context.Context, c *client.Client, name, page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	log, err := logOf(ctx, c, name, u.Scheme+"://"+u.Host+"/robots.txt")
	if err != nil || len(log) == 0 {
		return ""
	}
	last := log[len(log)-1]
	return strings.TrimSuffix(outcome(last.GetStatus(), last.GetError())+": "+last.GetErrorDetail(), ": ")
}

func logOf(ctx context.Context, c *client.Client, name, page string) ([]*storagev1.PageInfo, error) {
	id, err := c.ID(ctx, name)
	if err != nil {
		return nil, err
	}
	stream, err := c.Storage.ListPages(ctx, &storagev1.ListPagesRequest{CrawlId: id, Url: page})
	if err != nil {
		return nil, err
	}
	var log []*storagev1.PageInfo
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return log, nil
		}
		if err != nil {
			return log, err
		}
		log = append(log, resp.GetPages()...)
		log = log[max(len(log)-maxAttempts, 0):]
	}
}

func (a *app) writeExplanationJSON(r *schedulerv1.ExplainURLResponse, log []*storagev1.PageInfo) error {
	opts := protojson.MarshalOptions{UseProtoNames: true}
	out, err := opts.Marshal(r)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(out, &fields); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	entries := make([]json.RawMessage, 0, len(log))
	for _, p := range log {
		line, err := opts.Marshal(p)
		if err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		entries = append(entries, line)
	}
	if fields["log"], err = json.Marshal(entries); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	if out, err = json.Marshal(fields); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	_, err = a.Stdout.Write(append(out, '\n'))
	return err
}

// rows writes a table of names and values, without those that have no value.
type rows struct{ w *tabwriter.Writer }

func (r rows) add(name, value string) {
	if value != "" {
		_, _ = fmt.Fprintf(r.w, "%s\t%s\n", name, value) // Flush tells
	}
}

func (a *app) rows() rows { return rows{tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)} }

func (a *app) writeExplanation(now time.Time, r *schedulerv1.ExplainURLResponse, log []*storagev1.PageInfo) error {
	t := a.rows()
	t.add("canonical", r.GetCanonicalUrl())
	scope := "outside"
	if r.GetInScope() {
		scope = "inside"
	}
	t.add("scope", withReason(scope, r.GetScopeRule()))
	t.add("robots.txt", withReason(r.GetRobotsVerdict(), r.GetRobotsRule()))
	if r.GetState() == schedulerv1.URLState_URL_STATE_UNSPECIFIED {
		t.add("state", withReason("not known", r.GetReason()))
	} else {
		t.add("state", withReason(stateOf(r.GetState()), r.GetReason()))
		if r.GetNotBefore() != nil {
			t.add("next visit", "not before "+moment(now, r.GetNotBefore().AsTime()))
		}
		t.add("depth", fmt.Sprint(r.GetDepth()))
		t.add("priority", fmt.Sprint(r.GetPriority()))
		t.add("attempts", fmt.Sprint(r.GetAttempts()))
		t.add("visit", fmt.Sprint(r.GetGeneration()))
	}
	if r.GetError() != crawlv1.ErrorClass_ERROR_CLASS_UNSPECIFIED {
		t.add("error", errorName(r.GetError()))
	}
	if r.GetLease() != 0 {
		t.add("lease", leaseName(r.GetLease()))
	}
	t.add("redirected from", r.GetVia())
	owner := ""
	if r.GetReplica() != "" {
		owner = " of " + r.GetReplica()
	}
	t.add("partition", fmt.Sprint(r.GetPartition())+owner)
	if len(log) > 0 {
		explainPage(t, log[len(log)-1])
	}
	if h := r.GetHost(); h != nil {
		t.add("host", h.GetHost())
		hostRows(t, "  ", now, h)
	}
	if err := t.w.Flush(); err != nil || len(log) == 0 {
		return err
	}
	return a.writeAttempts(log)
}

// explainPage adds what storage keeps of the last attempt.
func explainPage(t rows, p *storagev1.PageInfo) {
	if p.GetStatus() != 0 {
		t.add("status", fmt.Sprint(p.GetStatus()))
	}
	t.add("detail", p.GetErrorDetail())
	t.add("fetched", p.GetFetchedAt().AsTime().Format(time.RFC3339))
	t.add("title", p.GetTitle())
	t.add("redirect", p.GetRedirectUrl())
	if p.GetSize() > 0 {
		t.add("body", fmt.Sprintf("%s, sha256 %s", summary.Bytes(p.GetSize()), hex.EncodeToString(p.GetSha256())))
	}
	if p.GetWarcFile() != "" {
		t.add("archive", fmt.Sprintf("%s at %d", p.GetWarcFile(), p.GetWarcOffset()))
	}
}

// writeAttempts lists attempts, the oldest first.
func (a *app) writeAttempts(log []*storagev1.PageInfo) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nVISIT\tATTEMPT\tAT\tOUTCOME\tTOOK\tLEASE\tDETAIL") // Flush tells
	for _, p := range log {
		detail := p.GetErrorDetail()
		if p.GetRedirectUrl() != "" {
			detail = strings.TrimSpace("to " + p.GetRedirectUrl() + " " + detail)
		}
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%dms\t%s\t%s\n", p.GetGeneration(), p.GetAttempt(), p.GetFetchedAt().AsTime().Format(time.RFC3339),
			outcome(p.GetStatus(), p.GetError()), p.GetDurationMicros()/1000, leaseName(p.GetLease()), detail)
	}
	return w.Flush()
}

// leaseName writes a lease as logs do: the run that made it and its number there.
func leaseName(id uint64) string {
	if id == 0 {
		return "-"
	}
	return fmt.Sprintf("%d-%d", id>>40, id&(1<<40-1))
}

// outcome is the status of an attempt, with its error where that says more.
func outcome(status uint32, class crawlv1.ErrorClass) string {
	switch {
	case class == crawlv1.ErrorClass_ERROR_CLASS_UNSPECIFIED && status == 0:
		return "-"
	case status == 0:
		return errorName(class)
	case class == crawlv1.ErrorClass_ERROR_CLASS_UNSPECIFIED || strings.HasPrefix(errorName(class), "status_"):
		return fmt.Sprint(status)
	default:
		return fmt.Sprintf("%d %s", status, errorName(class))
	}
}

// stateOf is the name of a state of a URL.
func stateOf(s schedulerv1.URLState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "URL_STATE_"))
}

// withReason writes a word and why.
func withReason(word, reason string) string {
	if reason == "" {
		return word
	}
	return strings.TrimSpace(word + " (" + reason + ")")
}

// moment writes a time and how far it is away.
func moment(now, t time.Time) string {
	text := t.UTC().Format(time.RFC3339)
	if d := t.Sub(now); d > 0 {
		return text + ", in " + summary.Duration(d)
	}
	return text
}

// when reads a time as people give it: RFC 3339, a day, or a time from now.
func when(now time.Time, flag, text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, crawl.Errorf(crawl.Invalid, "--%s %q: want a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a time from now such as 90m", flag, text)
}
