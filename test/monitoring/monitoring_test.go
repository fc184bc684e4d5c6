package monitoring

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// promtool runs Prometheus' own tool, which make puts into bin/tools where it is not
// installed.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if path, err = filepath.Abs(filepath.Join(root, "bin/tools/promtool")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal("promtool is needed, of Debian's package prometheus: make promtool")
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// metric is one of docs/metrics.md.
type metric struct {
	kind   string
	labels []string
}

// reference reads docs/metrics.md.
func reference(t *testing.T) map[string]metric {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\| ([a-z]+) \\| ([^|]*) \\|")
	out := map[string]metric{
		"up": {"gauge", nil}, "ALERTS": {"gauge", []string{"alertname", "alertstate"}},
		"process_cpu_seconds_total": {"counter", nil}, "process_resident_memory_bytes": {"gauge", nil},
	}
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		var labels []string
		for l := range strings.SplitSeq(strings.ReplaceAll(m[3], "`", ""), ",") {
			if l = strings.TrimSpace(l); l != "" {
				labels = append(labels, l)
			}
		}
		out[m[1]] = metric{m[2], labels}
	}
	if len(out) < 100 {
		t.Fatalf("only %d metrics in docs/metrics.md", len(out))
	}
	return out
}

// always are the labels that Prometheus adds.
var always = []string{"job", "instance"}

// check holds a query against the reference.
func check(all map[string]metric, expr string, legend string) error {
	p, err := parse(expr)
	if err != nil {
		return err
	}
	known := slices.Clone(always)
	for _, s := range p.selectors {
		m, name, ok := metric{}, s.metric, false
		if m, ok = all[name]; !ok {
			for _, part := range []string{"_bucket", "_count", "_sum"} {
				if base, cut := strings.CutSuffix(name, part); cut && all[base].kind == "histogram" {
					m, ok = all[base], true
					m.labels = append(slices.Clone(m.labels), "le")
				}
			}
		} else if m.kind == "histogram" {
			return fmt.Errorf("%s is a histogram: ask for its _bucket, _count or _sum", name)
		}
		if !ok {
			return fmt.Errorf("there is no metric %s", name)
		}
		if grows := m.kind != "gauge"; grows != (s.in == "rate" || s.in == "increase") && !(s.metric == "weir_bus_refused_total") {
			return fmt.Errorf("%s is a %s, in %q", name, m.kind, s.in)
		}
		for _, l := range s.labels {
			if !slices.Contains(m.labels, l) && !slices.Contains(always, l) {
				return fmt.Errorf("%s has no label %s", name, l)
			}
		}
		known = append(known, m.labels...)
	}
	if len(p.selectors) == 0 {
		return fmt.Errorf("no metric")
	}
	for _, l := range p.grouped {
		if !slices.Contains(known, l) {
			return fmt.Errorf("none of its metrics has the label %s", l)
		}
	}
	for _, l := range regexp.MustCompile(`\{\{ ?([a-z_]+) ?\}\}`).FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(known, l[1]) {
			return fmt.Errorf("the legend names the label %s, which none of its metrics has", l[1])
		}
	}
	return nil
}

// TestDashboards: every query is of metrics and labels that there are, and every panel
// says what it shows.
func TestDashboards(t *testing.T) {
	t.Parallel()
	all := reference(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: x\n  rules:\n")
	n := 0
	for _, d := range Dashboards() {
		titles := map[string]bool{}
		if d.Description == "" || d.Title == "" {
			t.Errorf("%s: no title or description", d.Name)
		}
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				where := d.Name + ": " + r.Title + ": " + p.Title
				if p.Description == "" || p.Unit == "" || len(p.Queries) == 0 || titles[r.Title+p.Title] {
					t.Errorf("%s: no description, unit or query, or twice", where)
				}
				titles[r.Title+p.Title] = true
				for _, q := range p.Queries {
					if err := check(all, q.Expr, q.Legend); err != nil {
						t.Errorf("%s: %s: %v", where, q.Expr, err)
					}
					if q.Legend == "" && !p.Stat {
						t.Errorf("%s: %s: no legend", where, q.Expr)
					}
					n++
					fmt.Fprintf(&rules, "  - record: x:%d\n    expr: |\n      %s\n", n, strings.ReplaceAll(q.Expr, "$__rate_interval", "5m"))
				}
			}
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "queries.yaml"), []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := promtool(t, dir, "check", "rules", "queries.yaml")
	if err != nil || !strings.Contains(out, fmt.Sprintf("SUCCESS: %d rules found", n)) {
		t.Errorf("%d queries as PromQL: %v\n%s", n, err, out)
	}
}

// TestEveryMetricIsUsed in a dashboard or an alert, save those that are for a closer look.
func TestEveryMetricIsUsed(t *testing.T) {
	t.Parallel()
	closer := []string{
		"weir_config_info", "weir_bus_published_total", "weir_bus_handler_seconds", "weir_bus_stream_messages", "weir_bus_stream_limit_messages",
		"weir_bus_ack_pending_messages", "weir_bus_ack_pending_limit_messages", "weir_scheduler_reports_total", "weir_scheduler_links_total",
		"weir_tls_reloads_total",
	}
	used := read(t, "deploy/alerts/weir.yaml")
	for _, d := range Dashboards() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		used += string(text)
	}
	for name := range reference(t) {
		if strings.HasPrefix(name, "weir_") && !slices.Contains(closer, name) && !regexp.MustCompile(`\b`+name+`(_bucket|_count|_sum)?\b`).MatchString(used) {
			t.Errorf("%s is in no dashboard and no alert", name)
		}
	}
}

// TestGeneratedFiles keeps what is made fresh: go run ./test/cmd/monitoring
func TestGeneratedFiles(t *testing.T) {
	t.Parallel()
	files, err := Files([]byte(read(t, "deploy/alerts/weir.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if diff := cmp.Diff(string(want), read(t, name)); diff != "" {
			t.Errorf("%s is stale: make gen", name)
		}
	}
	have, err := filepath.Glob(filepath.Join(root, "deploy/dashboards/*"))
	if err != nil || len(have) != len(Dashboards()) {
		t.Errorf("%d files in deploy/dashboards, %d dashboards: %v", len(have), len(Dashboards()), err)
	}
	kustomization := read(t, "deploy/k8s/components/monitoring/kustomization.yaml")
	for _, name := range []string{"rules.yaml", "dashboards.yaml"} {
		if !strings.Contains(kustomization, "- "+name+"\n") {
			t.Errorf("the component monitoring does not have %s", name)
		}
	}
}

// rule is an alert.
type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []rule {
	t.Helper()
	var doc struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal([]byte(read(t, "deploy/alerts/weir.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, g := range doc.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) < 20 {
		t.Fatalf("only %d alerts", len(out))
	}
	return out
}

// TestAlerts: of metrics and labels that there are, each with what a person needs, and
// with a section in the runbooks, which have no others.
func TestAlerts(t *testing.T) {
	t.Parallel()
	all := reference(t)
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(read(t, "docs/runbooks.md"), -1) {
		sections[m[1]] = true
	}
	for _, a := range alerts(t) {
		texts := a.Annotations["summary"] + a.Annotations["description"]
		labels := regexp.MustCompile(`\$labels\.([a-z_]+)`).ReplaceAllString(texts, "{{ $1 }}")
		if err := check(all, a.Expr, strings.Join(regexp.MustCompile(`\{\{ [a-z_]+ \}\}`).FindAllString(labels, -1), "")); err != nil {
			t.Errorf("%s: %v", a.Alert, err)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" || len(a.Annotations) != 3 {
			t.Errorf("%s: annotations %v", a.Alert, a.Annotations)
		}
		want := "https://github.com/weircrawl/weir/blob/main/docs/runbooks.md#" + strings.ToLower(a.Alert)
		if got := a.Annotations["runbook_url"]; got != want {
			t.Errorf("%s: runbook %s, want %s", a.Alert, got, want)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if !sections[a.Alert] {
			t.Errorf("%s has no section in docs/runbooks.md", a.Alert)
		}
		delete(sections, a.Alert)
	}
	for s := range sections {
		t.Errorf("docs/runbooks.md: %s is no alert", s)
	}
	text := read(t, "docs/runbooks.md")
	for _, m := range regexp.MustCompile(`\]\(#([a-z]+)\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(strings.ToLower(text), "\n## "+m[1]+"\n") {
			t.Errorf("docs/runbooks.md: no section #%s", m[1])
		}
	}
}

// TestAlertsFire when they should and not when they should not, says promtool.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	cases := read(t, "deploy/alerts/weir_test.yaml")
	for _, a := range alerts(t) {
		for _, name := range []string{a.Alert + " fires\n", a.Alert + " is silent\n"} {
			if !strings.Contains(cases, "- name: "+name) {
				t.Errorf("no case %q in weir_test.yaml", strings.TrimSpace(name))
			}
		}
	}
	dir := filepath.Join(root, "deploy/alerts")
	if out, err := promtool(t, dir, "check", "rules", "weir.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := promtool(t, dir, "test", "rules", "weir_test.yaml"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCheck: the test of queries finds what is wrong with one.
func TestCheck(t *testing.T) {
	t.Parallel()
	all := map[string]metric{
		"a_total": {"counter", []string{"x", "y"}}, "b": {"gauge", []string{"z"}}, "c_seconds": {"histogram", []string{"w"}},
	}
	for _, tt := range []struct{ expr, legend, wrong string }{
		{`sum by (x) (rate(a_total{y=~"1|{2}"}[5m])) / sum(b) > 0.5`, "{{x}}", ""},
		{`histogram_quantile(0.9, sum by (le, w) (rate(c_seconds_bucket[5m])))`, "{{w}}", ""},
		{"max(b) - sum(b offset 15m) or vector(0)", "", ""},
		{`b{z="a(b"} unless b == 3`, "", ""},
		{"sum(rate(nothing[5m]))", "", "no metric nothing"},
		{"sum by (z) (rate(a_total[5m]))", "", "label z"},
		{`b{x="1"}`, "", "label x"},
		{"b", "{{x}}", "label x"},
		{"a_total", "", "is a counter"},
		{"rate(b[5m])", "", "is a gauge"},
		{"c_seconds", "", "is a histogram"},
		{"sum by (le) (b)", "", "label le"},
		{"vector(1)", "", "no metric"},
		{`b{z="1`, "", "no end"},
	} {
		err := check(all, tt.expr, tt.legend)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: %v, want %q", tt.expr, err, tt.wrong)
		}
	}
}
