package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/weircrawl/weir/internal/testkit/site"
)

// Site is a test site in a process of its own.
type Site struct {
	site.Control
	// Info has the hosts and seeds.
	Info site.Info

	proc  *Proc
	stdin *os.File // the site ends with it
}

// StartSite starts the site program with its flags.
func StartSite(ctx context.Context, b Binaries, logs string, args ...string) (*Site, error) {
	return startSite(ctx, Command{Name: "site", Path: b.Site, Args: args, Logs: logs})
}

// StartPinnedSite starts the site program on one processor, so that what it uses
// is not taken from what is measured.
func StartPinnedSite(ctx context.Context, b Binaries, logs string, cpu string, args ...string) (*Site, error) {
	args = append([]string{"-c", cpu, b.Site}, args...)
	return startSite(ctx, Command{Name: "site", Path: "taskset", Args: args, Logs: logs})
}

func startSite(ctx context.Context, c Command) (*Site, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start site: %w", err)
	}
	defer r.Close()
	c.Stdin = r
	p, err := Start(c)
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	s := &Site{proc: p, stdin: w}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err = Await(ctx, "the site", func() (bool, error) {
		if !p.Running() {
			return false, fmt.Errorf("it ended\n%s", p.Tail())
		}
		line, complete := strings.CutSuffix(p.Stdout(), "\n")
		if !complete {
			return false, nil
		}
		return true, json.Unmarshal([]byte(line[strings.LastIndexByte(line, '\n')+1:]), &s.Info)
	})
	if err != nil {
		return nil, fmt.Errorf("start site: %w", err)
	}
	s.Control = site.Control{URL: s.Info.Control}
	return s, nil
}

// Proc is the site's process.
func (s *Site) Proc() *Proc { return s.proc }

// Close ends the site.
func (s *Site) Close() error {
	_ = s.stdin.Close() // a second signal for the same thing
	return s.proc.Kill()
}
