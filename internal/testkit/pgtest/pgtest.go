// Package pgtest gives tests a PostgreSQL of their own: a private cluster in a
// temporary directory, on a unix socket, started from the binaries of the machine
// in a second or two, and a fresh database for each test.
//
// A package that needs one for most of its tests shares it among them:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }
//	func TestX(t *testing.T)    { dsn := pgtest.Database(t) ... }
//
// One that needs it once calls Start in the test.
package pgtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// env names the directory of the cluster that With started.
	env = "WEIR_PGTEST"
	// superuser of the cluster, who has no password.
	superuser = "weir"
	// startTime bounds a start, stopTime a stop, after which the server is killed.
	startTime, stopTime = 60 * time.Second, 60 * time.Second
)

// Options of a cluster.
type Options struct {
	// Durable clusters wait for the disk, as real ones do; the others are faster.
	Durable bool
	// Settings for postgresql.conf, beside what the package sets.
	Settings map[string]string
}

// Cluster is a running server. Its methods are safe for concurrent use.
type Cluster struct {
	dir    string
	server *exec.Cmd
	ended  chan struct{} // closed when the server has ended
}

// Start starts a cluster and stops it when the test ends.
func Start(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	c, err := start(o)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.stop(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return c
}

// M runs the tests of a package beside a cluster.
type M struct{ tests interface{ Run() int } }

// With returns tests that run beside a cluster, for Database.
func With(tests interface{ Run() int }) *M { return &M{tests} }

// Run starts the cluster, runs the tests and stops it.
func (m *M) Run() (code int) {
	c, err := start(Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer func() {
		if err := errors.Join(c.stop(), os.Unsetenv(env)); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}()
	if err := os.Setenv(env, c.dir); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return m.tests.Run()
}

// Database makes an empty database in the cluster that With started, and returns its
// address. It is dropped when the test ends.
func Database(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		tb.Fatal("pgtest: no cluster: call pgtest.With in the package's TestMain")
	}
	return (&Cluster{dir: dir}).Database(tb)
}

// Database makes an empty database and returns its address. It is dropped when the
// test ends, with the connections that are left.
func (c *Cluster) Database(tb testing.TB) string {
	tb.Helper()
	name := "t" + strings.ToLower(rand.Text())
	if err := c.sql("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.sql("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return c.dsn(name)
}

// dsn is the address of a database.
func (c *Cluster) dsn(name string) string {
	q := url.Values{"host": {c.dir}, "user": {superuser}}
	return "postgres:///" + name + "?" + q.Encode()
}

// Dir is the directory of the server's socket.
func (c *Cluster) Dir() string { return c.dir }

// Pid is the process id of the server; it has children.
func (c *Cluster) Pid() int { return c.server.Process.Pid }

// sql runs a statement.
func (c *Cluster) sql(statement string) error {
	psql, err := find("psql")
	if err != nil {
		return err
	}
	out, err := exec.Command(psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", c.dsn("postgres"), "-c", statement).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", statement, err, bytes.TrimSpace(out))
	}
	return nil
}

// find returns the path of a PostgreSQL program: the newest of Debian's, or that in
// PATH.
func find(program string) (string, error) {
	best, version := "", -1
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program) // the pattern is sound
	for _, f := range found {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f)))); err == nil && v > version {
			best, version = f, v
		}
	}
	if best != "" {
		return best, nil
	}
	f, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("PostgreSQL's %s is missing: install Debian's package postgresql", program)
	}
	return f, nil
}

// start makes a cluster and waits until it answers.
func start(o Options) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, ended: make(chan struct{})}
	if err := c.start(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// start does it.
func (c *Cluster) start(o Options) error {
	initdb, err := find("initdb")
	if err != nil {
		return err
	}
	postgres, err := find("postgres")
	if err != nil {
		return err
	}
	own, err := owner(c.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", superuser, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "--no-instructions")
	cmd.Dir, cmd.SysProcAttr = c.dir, attributes(own)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	log, err := os.Create(filepath.Join(c.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.server = exec.Command(postgres, append([]string{"-D", data}, settings(c.dir, o)...)...)
	c.server.Dir, c.server.Stdout, c.server.Stderr, c.server.SysProcAttr = c.dir, log, log, attributes(own)
	if err := c.server.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	go func() {
		_ = c.server.Wait() // how it ends is of no interest
		close(c.ended)
	}()
	return c.wait(filepath.Join(data, "postmaster.pid"))
}

// wait returns when the server says in its file that it is ready.
func (c *Cluster) wait(file string) error {
	late := time.NewTimer(startTime)
	defer late.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b, err := os.ReadFile(file)
			if err == nil && strings.HasSuffix(strings.TrimSpace(string(b)), "ready") {
				return nil
			}
		case <-late.C:
			return errors.Join(fmt.Errorf("postgres did not start within %s: %s", startTime, c.log()), c.kill())
		case <-c.ended:
			return fmt.Errorf("postgres ended at once: %s", c.log())
		}
	}
}

// log is what the server said last.
func (c *Cluster) log() string {
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

// settings are the server's options.
func settings(dir string, o Options) []string {
	set := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": dir,
		"max_connections":         "100",
		"shared_buffers":          "64MB",
		"log_min_messages":        "warning",
		"log_min_error_statement": "panic", // tests provoke errors
		"timezone":                "UTC",
	}
	if !o.Durable {
		set["fsync"], set["full_page_writes"], set["synchronous_commit"] = "off", "off", "off"
	}
	for k, v := range o.Settings {
		set[k] = v
	}
	var args []string
	for k, v := range set {
		args = append(args, "-c", k+"="+v)
	}
	return args
}

// stop ends the server, with the connections that are left, and removes its files.
func (c *Cluster) stop() error {
	_ = c.server.Process.Signal(os.Interrupt) // it may have ended
	late := time.NewTimer(stopTime)
	defer late.Stop()
	var err error
	select {
	case <-c.ended:
	case <-late.C:
		err = errors.Join(fmt.Errorf("postgres did not stop within %s: %s", stopTime, c.log()), c.kill())
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// kill ends the server at once; its children notice.
func (c *Cluster) kill() error {
	err := c.server.Process.Kill()
	<-c.ended
	return err
}
