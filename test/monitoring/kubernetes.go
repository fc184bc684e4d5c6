package monitoring

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	generated = "# Made by make gen of deploy/%s; do not edit.\n"
	labels    = "  labels:\n    app.kubernetes.io/name: weir\n    app.kubernetes.io/part-of: weir\n"
)

// PrometheusRule wraps rules of Prometheus for prometheus-operator.
func PrometheusRule(rules []byte) ([]byte, error) {
	var doc struct {
		Groups []yaml.Node `yaml:"groups"`
	}
	if err := yaml.Unmarshal(rules, &doc); err != nil {
		return nil, fmt.Errorf("read the alert rules: %w", err)
	}
	if len(doc.Groups) == 0 {
		return nil, fmt.Errorf("the alert rules have no groups")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, generated, "alerts/weir.yaml")
	b.WriteString("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: weir\n" + labels + "spec:\n")
	var inner bytes.Buffer
	enc := yaml.NewEncoder(&inner)
	enc.SetIndent(2)
	if err := enc.Encode(map[string]any{"groups": doc.Groups}); err != nil {
		return nil, fmt.Errorf("write the alert rules: %w", err)
	}
	b.WriteString(indent(inner.String(), "  "))
	return b.Bytes(), nil
}

// ConfigMaps hold dashboards as Grafana's sidecar looks for them, by name of the file.
func ConfigMaps(dashboards map[string][]byte, names []string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, generated, "dashboards")
	for _, name := range names {
		b.WriteString("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: weir-dashboard-" + strings.TrimSuffix(name, ".json") + "\n" + labels)
		b.WriteString("    grafana_dashboard: \"1\"\ndata:\n  weir-" + name + ": |\n")
		b.WriteString(indent(string(dashboards[name]), "    "))
	}
	return b.Bytes()
}

// indent puts a prefix before every line that is not empty.
func indent(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(prefix)
		}
		b.WriteString(line)
	}
	return b.String()
}

// Files are all that is made, by path from the root of the repository; rules are
// deploy/alerts/weir.yaml.
func Files(rules []byte) (map[string][]byte, error) {
	out := make(map[string][]byte)
	boards, names := make(map[string][]byte), []string(nil)
	for _, d := range Dashboards() {
		text, err := d.JSON()
		if err != nil {
			return nil, err
		}
		names = append(names, d.Name+".json")
		boards[d.Name+".json"] = text
		out["deploy/dashboards/"+d.Name+".json"] = text
	}
	rule, err := PrometheusRule(rules)
	if err != nil {
		return nil, err
	}
	out["deploy/k8s/components/monitoring/rules.yaml"] = rule
	out["deploy/k8s/components/monitoring/dashboards.yaml"] = ConfigMaps(boards, names)
	return out, nil
}
