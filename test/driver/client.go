package driver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Client runs client commands of the program against a server.
type Client struct {
	// Dir holds the services' data and logs, and what commands read and write.
	Dir string

	bin     Binaries
	server  string   // gRPC address of the scheduler, or of all services
	storage string   // gRPC address of the storage
	extra   []string // of the commands' environment
}

// env tells a command where the server is.
func (c *Client) env() []string {
	return append([]string{"WEIR_SERVER=" + c.server, "WEIR_STORAGE_SERVER=" + c.storage}, c.extra...)
}

// Weir runs a client command of the program and returns what it wrote.
func (c *Client) Weir(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.bin.Weir, args...)
	cmd.Env = append(os.Environ(), c.env()...)
	cmd.Dir = c.Dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("weir %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// Begin starts a client command that reads from stdin.
func (c *Client) Begin(stdin io.Reader, args ...string) (*Proc, error) {
	return Start(Command{Name: "client", Path: c.bin.Weir, Args: args, Dir: c.Dir, Logs: c.Dir, Env: c.env(), Stdin: stdin})
}

// BeginAs starts a client command whose output goes to files of that name.
func (c *Client) BeginAs(name string, args ...string) (*Proc, error) {
	return Start(Command{Name: name, Path: c.bin.Weir, Args: args, Dir: c.Dir, Logs: c.Dir, Env: c.env()})
}

// Open hands in a job that takes further seeds and returns its id.
func (c *Client) Open(ctx context.Context, job Job) (string, error) {
	spec := filepath.Join(c.Dir, "spec.yaml")
	if err := os.WriteFile(spec, []byte(job.Spec), 0o644); err != nil {
		return "", fmt.Errorf("write spec: %w", err)
	}
	args := []string{"submit", spec}
	for _, s := range job.Sets {
		args = append(args, "--set", s)
	}
	out, err := c.Weir(ctx, args...)
	if err != nil {
		return "", err
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return id, nil
}

// Submit hands in a job that takes no further seeds and returns its id.
func (c *Client) Submit(ctx context.Context, job Job) (string, error) {
	id, err := c.Open(ctx, job)
	if err != nil {
		return "", err
	}
	if _, err := c.Weir(ctx, "close", id); err != nil {
		return "", err
	}
	return id, nil
}

// Status is the summary of a crawl now.
func (c *Client) Status(ctx context.Context, id string) (Summary, error) {
	out, err := c.Weir(ctx, "status", id, "--json")
	if err != nil {
		return Summary{}, err
	}
	return ParseSummary(out)
}
