package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// BusUse is what has gone through the NATS server since it began.
type BusUse struct {
	InMessages  int64 `json:"in_msgs"`
	OutMessages int64 `json:"out_msgs"`
	InBytes     int64 `json:"in_bytes"`
	OutBytes    int64 `json:"out_bytes"`
}

// BusUse asks the NATS server; a cluster that is secured has no answer, but zero.
func (c *Cluster) BusUse(ctx context.Context) (BusUse, error) {
	var out BusUse
	if c.users != "" {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.monitor+"/varz", nil)
	if err != nil {
		return out, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, fmt.Errorf("ask the NATS server: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("ask the NATS server: %w", err)
	}
	return out, nil
}
