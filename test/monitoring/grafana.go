package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Dashboard is a page of panels.
type Dashboard struct {
	// Name is the file's and the end of the uid: overview.
	Name string
	// Title and Description are shown.
	Title, Description string
	// Rows from top to bottom.
	Rows []Row
}

// Row is a heading with panels below it.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel is a chart.
type Panel struct {
	Title string
	// Description says what to read out of it.
	Description string
	// Unit as Grafana names it: s, bytes, reqps, percentunit, short.
	Unit string
	// Queries are its lines.
	Queries []Query
	// Stat shows the last value as a number.
	Stat bool
	// Stack puts the lines on each other.
	Stack bool
	// Max is the end of the axis; 0: as the values are.
	Max float64
}

// Query is a line, or one for each set of labels.
type Query struct {
	Expr, Legend string
}

// Sizes of a panel in Grafana's grid of 24 columns.
const (
	chartWidth, chartHeight = 8, 8
	statWidth, statHeight   = 4, 4
)

// JSON is the dashboard as Grafana imports it.
func (d Dashboard) JSON() ([]byte, error) {
	source := map[string]any{"type": "prometheus", "uid": "${datasource}"}
	var panels []any
	id, y := 0, 0
	for _, r := range d.Rows {
		id++
		panels = append(panels, map[string]any{
			"id": id, "type": "row", "title": r.Title, "collapsed": false, "panels": []any{},
			"gridPos": grid(0, y, 24, 1),
		})
		y++
		x, height := 0, 0
		for _, p := range r.Panels {
			w, h := chartWidth, chartHeight
			if p.Stat {
				w, h = statWidth, statHeight
			}
			if x+w > 24 {
				x, y, height = 0, y+height, 0
			}
			id++
			panels = append(panels, p.json(id, grid(x, y, w, h), source))
			x, height = x+w, max(height, h)
		}
		y += height
	}
	out := map[string]any{
		"uid": "weir-" + d.Name, "title": d.Title, "description": d.Description, "tags": []string{"weir"},
		"schemaVersion": 39, "version": 1, "editable": true, "refresh": "30s", "timezone": "browser",
		"time": map[string]string{"from": "now-1h", "to": "now"}, "panels": panels, "annotations": map[string]any{"list": []any{}},
		"templating": map[string]any{"list": []any{map[string]any{
			"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": map[string]any{}, "hide": 0,
		}}},
		"links": []any{map[string]any{
			"title": "Weir", "type": "dashboards", "tags": []string{"weir"}, "asDropdown": true, "includeVars": true, "keepTime": true,
		}},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.Name, err)
	}
	return b.Bytes(), nil
}

func grid(x, y, w, h int) map[string]int { return map[string]int{"x": x, "y": y, "w": w, "h": h} }

func (p Panel) json(id int, at map[string]int, source any) any {
	var targets []any
	for i, q := range p.Queries {
		targets = append(targets, map[string]any{
			"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend,
			"editorMode": "code", "range": !p.Stat, "instant": p.Stat,
		})
	}
	defaults := map[string]any{"unit": p.Unit, "min": 0}
	if p.Max > 0 {
		defaults["max"] = p.Max
	}
	out := map[string]any{
		"id": id, "title": p.Title, "description": p.Description, "gridPos": at, "datasource": source, "targets": targets,
	}
	if p.Stat {
		out["type"] = "stat"
		out["options"] = map[string]any{"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "graphMode": "none", "colorMode": "none"}
	} else {
		out["type"] = "timeseries"
		custom := map[string]any{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false}
		if p.Stack {
			custom["fillOpacity"], custom["stacking"] = 40, map[string]any{"mode": "normal"}
		}
		defaults["custom"] = custom
		out["options"] = map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom"},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	}
	out["fieldConfig"] = map[string]any{"defaults": defaults, "overrides": []any{}}
	return out
}
