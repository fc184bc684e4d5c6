package driver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// Server is the ring all in one process, as a server for clients.
type Server struct {
	Client

	command Command
	admin   string
	page    string
	proc    *Proc
	ports   Ports
}

// StartServer starts a server with its data and logs in dir, and waits until it is
// ready; more are further arguments.
func StartServer(ctx context.Context, b Binaries, dir string, more ...string) (*Server, error) {
	s := &Server{Client: Client{Dir: dir, bin: b}}
	addrs, err := s.ports.Take(3)
	if err != nil {
		return nil, errors.Join(err, s.ports.Close())
	}
	s.server, s.storage, s.admin, s.page = addrs[0], addrs[0], addrs[1], addrs[2]
	args := []string{"up", "--data", filepath.Join(dir, "data"), "--listen", s.server, "--admin-listen", s.admin, "--allow-net", Loopback}
	s.command = Command{Name: "up", Path: b.Weir, Args: append(args, more...), Dir: dir, Logs: dir}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.ports.Close())
	}
	return s, nil
}

// Use has the server and its commands be another program from the next start on.
func (s *Server) Use(weir string) { s.command.Path, s.bin.Weir = weir, weir }

// Start starts the server, again if it has ended, and waits until it is ready.
func (s *Server) Start(ctx context.Context) error {
	c := s.command
	// A release from before the web page does not know where to serve it.
	if exec.CommandContext(ctx, c.Path, "up", "--console-listen", s.page, "--help").Run() == nil {
		c.Args = append(slices.Clone(c.Args), "--console-listen", s.page)
	}
	p, err := Start(c)
	if err != nil {
		return err
	}
	s.proc = p
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err = Await(ctx, "the server", func() (bool, error) {
		if !p.Running() {
			return false, errors.New("it ended")
		}
		return answers(ctx, "http://"+s.admin+"/readyz"), nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, p.Tail()), p.Kill())
	}
	return nil
}

// Page is the address of the server's web page.
func (s *Server) Page() string { return "http://" + s.page }

// Proc is the current or last process.
func (s *Server) Proc() *Proc { return s.proc }

// Metric is the sum of a metric's values over all its labels that contain the text with
// (empty: all). A metric that is not there is 0.
func (s *Server) Metric(ctx context.Context, metric, with string) (float64, error) {
	return readMetric(ctx, s.admin, metric, with)
}

// Close kills the server.
func (s *Server) Close() error { return errors.Join(s.proc.Kill(), s.ports.Close()) }
