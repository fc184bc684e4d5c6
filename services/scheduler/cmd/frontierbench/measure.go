package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// benchCase is something measured in every round.
type benchCase struct {
	Store string    `json:"store"`
	Shape string    `json:"shape"`
	URLs  int       `json:"urls"`
	Runs  []figures `json:"runs"`
}

// figures is one measurement of a case.
type figures struct {
	// Filled, Measured and Ready are what the processes told.
	Filled   line `json:"filled"`
	Measured line `json:"measured"`
	Ready    line `json:"ready"`
	// Acked is the last number of durable URLs before the kill.
	Acked uint64 `json:"acked"`
	// Restart is the time from the start of a process after the kill until it has
	// handed out leases, the start of the program included.
	Restart float64 `json:"restart_seconds"`
	// Bytes on disk as the killed process left them, and Compacted.
	Bytes     int64 `json:"bytes"`
	Compacted int64 `json:"compacted_bytes"`
}

// underWay is how many times a process that is to be killed says what is durable: so
// long it works after what was measured.
const underWay = 5

// measure does one run of a case.
func (o options) measure(ctx context.Context, c *benchCase) (r figures, err error) {
	e := o.engineFor(c.Store)
	if err := e.remove(ctx); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.remove(ctx)) }()
	if err := o.worker(ctx, c, &r); err != nil {
		return r, err
	}
	if r.Bytes, err = e.size(ctx); err != nil {
		return r, err
	}
	start := time.Now()
	err = o.spawn(ctx, c, "-reopen", func(_ *os.Process, l line) error {
		if l.Phase == "ready" {
			r.Ready, r.Restart = l, time.Since(start).Seconds()
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	if r.Ready.Discovered < r.Acked {
		return r, fmt.Errorf("%d URLs were durable before the kill, %d are there after it", r.Acked, r.Ready.Discovered)
	}
	r.Compacted, err = e.size(ctx)
	return r, err
}

// worker runs the process that is killed.
func (o options) worker(ctx context.Context, c *benchCase, r *figures) error {
	acks := 0
	err := o.spawn(ctx, c, "-child", func(p *os.Process, l line) error {
		switch l.Phase {
		case "filled":
			r.Filled = l
		case "measured":
			r.Measured = l
		case "running":
			r.Acked = l.Discovered
			if acks++; acks == underWay {
				return p.Signal(syscall.SIGKILL)
			}
		}
		return nil
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 && acks >= underWay {
		return nil
	}
	return errors.Join(errors.New("the process ended by itself"), err)
}

// spawn runs this program again for a case and hears what it says.
func (o options) spawn(ctx context.Context, c *benchCase, mode string, hear func(*os.Process, line) error) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{
		mode, "-stores", c.Store, "-shapes", c.Shape, "-urls", strconv.Itoa(c.URLs), "-pages", strconv.Itoa(o.pages),
		"-partitions", strconv.Itoa(o.partitions), "-cache", strconv.FormatInt(o.cache, 10), "-dir", o.dir, "-dsn", o.dsn,
		"-even", strconv.FormatFloat(o.even, 'g', -1, 64),
	}
	if o.profile != "" {
		args = append(args, "-profile", fmt.Sprintf("%s-%s-%s-%d", o.profile, c.Store, c.Shape, c.URLs))
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "FRONTIERBENCH=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = read(out, func(l line) error { return hear(cmd.Process, l) })
	return errors.Join(err, cmd.Wait())
}

// read hears every line of a process.
func read(r io.Reader, hear func(line) error) error {
	sc := bufio.NewScanner(r)
	var failed error
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%q: %w", sc.Text(), err))
			continue
		}
		failed = errors.Join(failed, hear(l))
	}
	return errors.Join(failed, sc.Err())
}
