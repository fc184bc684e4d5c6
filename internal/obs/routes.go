package obs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler returns the routes:
//
//	/livez           200 unless the process hangs: Kubernetes then starts it anew
//	/startupz        200 once the process was ready for the first time, for ever
//	/readyz          200 while it can do its work
//	/metrics         for Prometheus, OpenMetrics where that is asked for
//	/debug/config    the settings in force, without secrets
//	/debug/state     what it does now, on one screen
//	/debug/loglevel  GET, or PUT debug, info, warn or error
//	/debug/pprof/    profiles
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.ask(r.Context(), a.deps.Live))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if a.stopping.Load() {
			answer(w, errors.New("stopping"))
			return
		}
		answer(w, a.ready(r.Context()))
	})
	mux.HandleFunc("GET /startupz", func(w http.ResponseWriter, r *http.Request) {
		if a.started.Load() {
			answer(w, nil)
			return
		}
		answer(w, a.ready(r.Context()))
	})
	if a.deps.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(a.deps.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	}
	a.debug(mux)
	return mux
}

// debug adds the routes for people.
func (a *Admin) debug(mux *http.ServeMux) {
	if a.deps.Settings != nil {
		mux.HandleFunc("GET /debug/config", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, a.deps.Settings())
		})
	}
	if a.deps.State != nil {
		mux.HandleFunc("GET /debug/state", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			_ = enc.Encode(a.deps.State(r.Context())) // who asked has gone
		})
	}
	if level := levelOf(a.deps.Log); level != nil {
		mux.HandleFunc("GET /debug/loglevel", func(w http.ResponseWriter, _ *http.Request) { answerText(w, levelName(level.Level())) })
		mux.HandleFunc("PUT /debug/loglevel", func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(io.LimitReader(r.Body, 64))
			if err == nil {
				err = setLevel(level, string(text))
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			a.deps.Log.Warn("log level changed", "component", "admin", "level", levelName(level.Level()), "addr", r.RemoteAddr)
			answerText(w, levelName(level.Level()))
		})
	}
	// Without the command line, in which there may be passwords.
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// ready looks at readiness, and remembers the first time.
func (a *Admin) ready(ctx context.Context) error {
	err := a.ask(ctx, a.deps.Ready)
	if err == nil {
		a.started.Store(true)
	}
	return err
}

// ask calls a probe, nil for a good one, for a bounded time.
func (a *Admin) ask(ctx context.Context, probe func(context.Context) error) error {
	if probe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ReadyTimeout)
	defer cancel()
	return probe(ctx)
}

// answer says ok, or 503 and why not.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answerText(w, "ok")
}

func answerText(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text+"\n") }
