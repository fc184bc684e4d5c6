package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Proc is a running or finished process. Its methods may be called from several
// goroutines.
type Proc struct {
	// Name is the process's part in the ring, for messages.
	Name string

	cmd    *exec.Cmd
	stdout string // file
	stderr string // file
	done   chan struct{}
}

// Command says how to start a process.
type Command struct {
	// Name is the process's part in the ring.
	Name string
	// Path of the program, Args without the program itself.
	Path string
	Args []string
	// Dir is the working folder; output goes to files NAME.out and NAME.err in Logs,
	// which are appended to.
	Dir, Logs string
	// Env is added to the test's own.
	Env []string
	// Stdin of the process. Default: none.
	Stdin io.Reader
}

// Start starts a process. It is killed when the test's process dies.
func Start(c Command) (*Proc, error) {
	p := &Proc{Name: c.Name, done: make(chan struct{})}
	p.stdout, p.stderr = c.Logs+"/"+c.Name+".out", c.Logs+"/"+c.Name+".err"
	stdout, err := appendTo(p.stdout)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := appendTo(p.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir = c.Dir
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.Stdin, stdout, stderr
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() { // ends with the process; Wait joins it
		defer close(p.done)
		_ = p.cmd.Wait() // the exit state is in ProcessState
	}()
	return p, nil
}

func appendTo(file string) (*os.File, error) {
	return os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// PID of the process.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Running tells whether the process has not ended.
func (p *Proc) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Done is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process and returns its exit code (-1 when a
// signal ended it).
func (p *Proc) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for %s: %w\n%s", p.Name, context.Cause(ctx), p.Tail())
	}
}

// Signal sends a signal; to a process that has ended it does nothing.
func (p *Proc) Signal(sig syscall.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Proc) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.done
	return err
}

// Stop asks the process to end, kills it after the time that it is given, and
// waits until it is gone.
func (p *Proc) Stop(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s did not stop within %v\n%s", p.Name, grace, p.Tail()), p.Kill())
	}
}

// Stdout returns what the process has written to its standard output, with what
// earlier ones of the same name and folder wrote.
func (p *Proc) Stdout() string { return read(p.stdout) }

// Stderr returns the same of standard error.
func (p *Proc) Stderr() string { return read(p.stderr) }

func read(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// Tail returns the end of the process's standard error, for messages.
func (p *Proc) Tail() string {
	const most = 4000
	s := p.Stderr()
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return "--- " + p.Name + " wrote:\n" + s
}

// CPU is the processor time that the process has used so far, or used in all.
func (p *Proc) CPU() (time.Duration, error) {
	if !p.Running() {
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
	}
	// The fields follow the program's name, which is in parentheses.
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("processor time of %s: /proc has %d fields", p.Name, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time of %s: %w", p.Name, err)
		}
		ticks += n
	}
	const hertz = 100 // USER_HZ, the same on every Linux that Go runs on
	return time.Duration(ticks) * time.Second / hertz, nil
}

// PeakRSS is the most memory that the process has held, in bytes.
func (p *Proc) PeakRSS() (int64, error) {
	if !p.Running() {
		if ru, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			return ru.Maxrss << 10, nil
		}
		return 0, fmt.Errorf("memory of %s: no resource usage", p.Name)
	}
	return p.memory("VmHWM:")
}

// RSS is the memory that the running process holds, in bytes.
func (p *Proc) RSS() (int64, error) { return p.memory("VmRSS:") }

func (p *Proc) memory(key string) (int64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/status")
	if err != nil {
		return 0, fmt.Errorf("memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of %s: %w", p.Name, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of %s: no %s", p.Name, key)
}

// Await polls until ok, an error or the end of the context.
func Await(ctx context.Context, what string, ok func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if err != nil {
			return fmt.Errorf("await %s: %w", what, err)
		}
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("await %s: %w", what, context.Cause(ctx))
		}
	}
}
