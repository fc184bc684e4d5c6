package pgtest

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Open starts a cluster for a program that is no test; Close stops it.
func Open(o Options) (*Cluster, error) { return start(o) }

// Close stops a cluster of Open and removes its files.
func (c *Cluster) Close() error { return c.stop() }

// DSN is the address of the database that every cluster has from the start.
func (c *Cluster) DSN() string { return c.dsn("postgres") }

// Size is the length of a database's files, in bytes.
func (c *Cluster) Size(name string) (int64, error) {
	psql, err := find("psql")
	if err != nil {
		return 0, err
	}
	out, err := exec.Command(psql, "-X", "-A", "-t", "-d", c.dsn(name), "-c", "SELECT pg_database_size(current_database())").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("size of database %s: %w: %s", name, err, out)
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

// Create makes an empty database of a name in lower-case letters and returns its
// address. It goes with the cluster.
func (c *Cluster) Create(name string) (string, error) {
	return c.dsn(name), c.sql("CREATE DATABASE " + name)
}
