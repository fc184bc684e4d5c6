package driver

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Scrape is what a process tells on its admin address: lines of the Prometheus text
// format.
type Scrape []string

// ReadMetrics reads the metrics at an admin address.
func ReadMetrics(ctx context.Context, admin string) (Scrape, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", admin, err)
	}
	defer resp.Body.Close()
	var out Scrape
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if line := lines.Text(); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out, lines.Err()
}

// Sum is the sum of a metric's values over all its labels that contain the text with
// (empty: all). A metric that is not there is 0.
func (s Scrape) Sum(metric, with string) (float64, error) {
	var sum float64
	for _, line := range s {
		rest, ok := strings.CutPrefix(line, metric)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' || !strings.Contains(rest, with) {
			continue
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		sum += v
	}
	return sum, nil
}

// Quantile of a histogram without labels, with what it had counted before taken away,
// by a straight line within the bucket. 0 when it counted nothing.
func (s Scrape) Quantile(q float64, metric string, before Scrape) (float64, error) {
	type bucket struct{ le, n float64 }
	read := func(s Scrape) (out []bucket, err error) {
		for _, line := range s {
			rest, ok := strings.CutPrefix(line, metric+`_bucket{le="`)
			if !ok {
				continue
			}
			le, value, _ := strings.Cut(rest, `"} `)
			var b bucket
			if b.le, err = strconv.ParseFloat(le, 64); err != nil {
				return nil, fmt.Errorf("metric %q: %w", line, err)
			}
			if b.n, err = strconv.ParseFloat(value, 64); err != nil {
				return nil, fmt.Errorf("metric %q: %w", line, err)
			}
			out = append(out, b)
		}
		return out, nil
	}
	now, err := read(s)
	if err != nil || len(now) == 0 {
		return 0, err
	}
	old, err := read(before)
	if err != nil {
		return 0, err
	}
	for i := range now {
		if i < len(old) {
			now[i].n -= old[i].n
		}
	}
	want := q * now[len(now)-1].n
	var low bucket
	for i, b := range now {
		if b.n < want || b.n == 0 {
			low = b
			continue
		}
		if i == len(now)-1 || b.n == low.n { // beyond the last bound
			return low.le, nil
		}
		return low.le + (b.le-low.le)*(want-low.n)/(b.n-low.n), nil
	}
	return 0, nil
}

// readMetric sums the values of a metric at an admin address.
func readMetric(ctx context.Context, admin, metric, with string) (float64, error) {
	s, err := ReadMetrics(ctx, admin)
	if err != nil {
		return 0, err
	}
	return s.Sum(metric, with)
}
