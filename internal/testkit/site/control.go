package site

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Info is what a site tells about itself on its control address.
type Info struct {
	// Hosts as host:port, by number.
	Hosts []string `json:"hosts"`
	// Seeds are the URLs of the hosts' roots.
	Seeds []string `json:"seeds"`
	// Control is the control URL.
	Control string `json:"control"`
}

// Info describes the site.
func (s *Server) Info() Info {
	return Info{Hosts: s.Hosts(), Seeds: s.Seeds(), Control: s.control}
}

func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Info()) })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Stats()) })
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { s.Reset() })
	mux.HandleFunc("POST /behaviour", func(w http.ResponseWriter, r *http.Request) {
		var b Behaviour
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Set(b)
	})
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that went away is the client's business
}

// Control talks to a site that runs in another process.
type Control struct {
	// URL is the site's control URL.
	URL string
}

// Info describes the site.
func (c Control) Info(ctx context.Context) (Info, error) {
	var out Info
	return out, c.call(ctx, http.MethodGet, "/info", nil, &out)
}

// Stats returns what clients did since the start or the last reset.
func (c Control) Stats(ctx context.Context) (Stats, error) {
	var out Stats
	return out, c.call(ctx, http.MethodGet, "/stats", nil, &out)
}

// Reset forgets what clients did.
func (c Control) Reset(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/reset", nil, nil)
}

// Set replaces the behaviour of all hosts.
func (c Control) Set(ctx context.Context, b Behaviour) error {
	return c.call(ctx, http.MethodPost, "/behaviour", b, nil)
}

// call does one exchange; in and out may be nil.
func (c Control) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return fmt.Errorf("site control %s: %w", path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, &body)
	if err != nil {
		return fmt.Errorf("site control %s: %w", path, err)
	}
	req.Close = true // no connection outlives the call, so that no goroutine does
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("site control %s: %w", path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("site control %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("site control %s: %s: %s", path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("site control %s: %w", path, err)
	}
	return nil
}
