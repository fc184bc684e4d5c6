package e2e

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/testkit/otlptest"
	"github.com/weircrawl/weir/test/driver"
)

// steps are the spans of a visit, each the parent of the next, and the services that
// make them.
var steps = []struct{ name, service, queue string }{
	{"schedule", "weir-scheduler", ""},
	{"fetch", "weir-fetcher", "tasks"},
	{"parse", "weir-parser", "pages"},
	{"store", "weir-storage", "records"},
	{"apply", "weir-scheduler", "results"},
}

// TestTraceOfOneURL: the processes export spans to a real OTLP endpoint, and those of one
// URL are one trace through all four services, with the time in every queue.
func TestTraceOfOneURL(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, mode driver.Mode) {
		collector := otlptest.Start(t)
		s := startSite(t, "-hosts", "2", "-pages", "10", "-links", "5")
		crawl(t, mode, driver.Job{Spec: specFor(s, fast), Settings: []string{
			"--trace.endpoint", collector.Addr(), "--trace.insecure", "--trace.sample", "1",
		}})
		f := newForest(collector.Spans())
		want := pages(s, 10)
		for _, url := range want {
			f.checkVisit(t, url)
		}
		// The visits of all pages and of two robots.txt, each of one trace of its own.
		traces := map[string]bool{}
		for _, root := range f.named["schedule"] {
			if root.Parent != "" || traces[root.Trace] {
				t.Errorf("not the only root of its trace: %+v", root)
			}
			traces[root.Trace] = true
		}
		if len(traces) != len(want)+2 {
			t.Errorf("%d traces of visits, want %d", len(traces), len(want)+2)
		}
		f.checkBatches(t, "store batch", "store")
		f.checkBatches(t, "apply batch", "apply")
		if mode == driver.Split {
			calls := f.named["weir.scheduler.v1.CrawlService/CreateCrawl"]
			if len(calls) != 1 || calls[0].Kind != "SERVER" || calls[0].Service != "weir-scheduler" {
				t.Errorf("spans of the call that submits: %+v", calls)
			}
		}
	})
}

// forest has the spans that came.
type forest struct {
	byID     map[string]otlptest.Span
	named    map[string][]otlptest.Span
	children map[string][]otlptest.Span
}

func newForest(spans []otlptest.Span) *forest {
	f := &forest{byID: map[string]otlptest.Span{}, named: map[string][]otlptest.Span{}, children: map[string][]otlptest.Span{}}
	for _, s := range spans {
		f.byID[s.ID] = s
		f.named[s.Name] = append(f.named[s.Name], s)
		f.children[s.Parent] = append(f.children[s.Parent], s)
	}
	return f
}

// child finds the only child of a name, or fails the test.
func (f *forest) child(t *testing.T, of otlptest.Span, name string) otlptest.Span {
	t.Helper()
	var found []otlptest.Span
	for _, s := range f.children[of.ID] {
		if s.Name == name && s.Trace == of.Trace {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d spans %q below %+v; its children: %+v", len(found), name, of, f.children[of.ID])
	}
	return found[0]
}

// checkVisit follows a URL round the ring.
func (f *forest) checkVisit(t *testing.T, url string) {
	t.Helper()
	var at otlptest.Span
	for _, root := range f.named["schedule"] {
		if root.Attrs["url.full"] == url {
			at = root
		}
	}
	if at.ID == "" {
		t.Fatalf("no trace of %s", url)
	}
	for i, step := range steps {
		if i > 0 {
			sender := at
			at = f.child(t, sender, step.name)
			wait := f.child(t, sender, "wait: "+step.queue)
			if wait.Service != step.service || wait.Start.Before(sender.Start) || wait.End.Before(wait.Start) || wait.End.After(at.Start) {
				t.Errorf("%s: %s waited from %v to %v; sent by a span that began %v, begun %v", url, step.queue, wait.Start, wait.End, sender.Start, at.Start)
			}
			if at.Start.Before(sender.Start) {
				t.Errorf("%s: %s begins before %s, which sent it", url, step.name, sender.Name)
			}
		}
		if at.Service != step.service || at.Error != "" || at.End.Before(at.Start) {
			t.Errorf("%s: %+v, want one of %s without an error", url, at, step.service)
		}
		if got, ok := at.Attrs["url.full"]; i < 4 && (!ok || got != url) {
			t.Errorf("%s: %s is of %q", url, step.name, got)
		}
		switch step.name {
		case "fetch":
			if at.Attrs["http.response.status_code"] != "200" || at.Attrs["weir.error_class"] != "none" || at.Attrs["weir.body_bytes"] == "0" {
				t.Errorf("%s: attributes %v", url, at.Attrs)
			}
			first := f.child(t, at, "first byte")
			if first.Start.Before(at.Start) || first.End.After(at.End) {
				t.Errorf("%s: first byte from %v to %v of %v to %v", url, first.Start, first.End, at.Start, at.End)
			}
		case "store":
			commit := f.child(t, at, "commit")
			if commit.Start.Before(at.Start) || commit.End.After(at.End) {
				t.Errorf("%s: commit from %v to %v of %v to %v", url, commit.Start, commit.End, at.Start, at.End)
			}
		}
	}
}

// checkBatches: every member is linked with a batch that is linked with it.
func (f *forest) checkBatches(t *testing.T, batch, member string) {
	t.Helper()
	if len(f.named[batch]) == 0 {
		t.Errorf("no spans %q", batch)
	}
	for _, m := range f.named[member] {
		if len(m.Links) != 1 {
			t.Errorf("%s has %d links", member, len(m.Links))
			continue
		}
		_, id, _ := strings.Cut(m.Links[0], "/")
		b := f.byID[id]
		back := false
		for _, l := range b.Links {
			back = back || l == m.Trace+"/"+m.ID
		}
		if b.Name != batch || !back || b.Trace == m.Trace {
			t.Errorf("%s %+v is in no batch: %+v", member, m, b)
		}
	}
}
