package pgtest

// Open starts a cluster for a program that is no test; Close stops it.
func Open(o Options) (*Cluster, error) { return start(o) }

// Close stops a cluster of Open and removes its files.
func (c *Cluster) Close() error { return c.stop() }

// DSN is the address of the database that every cluster has from the start.
func (c *Cluster) DSN() string { return c.dsn("postgres") }

// Create makes an empty database of a name in lower-case letters and returns its
// address. It goes with the cluster.
func (c *Cluster) Create(name string) (string, error) {
	return c.dsn(name), c.sql("CREATE DATABASE " + name)
}
