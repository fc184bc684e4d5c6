package driver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Users is how the users of NATS show who they are in a secure cluster.
type Users string

// The two ways.
const (
	ByCertificate Users = "certificate"
	ByPassword    Users = "password"
)

// users that NATS has.
var users = []string{"topology", "scheduler", "fetcher", "parser", "storage"}

// Password of a NATS user of a secure cluster.
func Password(user string) string { return "s3cret-of-" + user }

// PKI is the folder of the certificates of a secure cluster (weir certs init).
func (c *Cluster) PKI() string { return filepath.Join(c.Dir, "pki") }

// NATS is the address of the NATS server.
func (c *Cluster) NATS() string { return c.nats }

// Addr is the gRPC address of a scheduler or storage.
func (c *Cluster) Addr(name string) string { return c.servers[name] }

// secure makes what a secure cluster needs and returns the arguments and the environment
// of its NATS server.
func (c *Cluster) secure(ctx context.Context) (args, env []string, err error) {
	if _, err := c.Weir(ctx, "certs", "init", c.PKI()); err != nil {
		return nil, nil, err
	}
	root, err := Root(ctx)
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(c.Dir, "nats-conf")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	file := "users-" + string(c.users) + ".conf"
	data, err := os.ReadFile(filepath.Join(root, "deploy", "nats", file))
	if err != nil {
		return nil, nil, fmt.Errorf("read the users of NATS: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
		return nil, nil, err
	}
	own := filepath.Join(c.PKI(), "nats")
	conf := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, max_file_store: 1TB }\ntls {\n  cert_file: %q\n  key_file: %q\n  ca_file: %q\n  verify_and_map: %v\n}\ninclude %q\n",
		c.nats, filepath.Join(c.Dir, "nats"), own+"/tls.crt", own+"/tls.key", own+"/ca.crt", c.users == ByCertificate, file)
	if err := os.WriteFile(filepath.Join(dir, "nats.conf"), []byte(conf), 0o644); err != nil {
		return nil, nil, err
	}
	for _, u := range users {
		env = append(env, "NATS_WEIR_"+strings.ToUpper(u)+"_PASSWORD="+Password(u))
		if err := os.WriteFile(c.passwordFile(u), []byte(Password(u)+"\n"), 0o600); err != nil {
			return nil, nil, err
		}
	}
	return []string{"-c", filepath.Join(dir, "nats.conf")}, env, nil
}

func (c *Cluster) passwordFile(user string) string {
	return filepath.Join(c.Dir, "nats-conf", user+".password")
}

// secureArgs are those of a service that make its connections secure.
func (c *Cluster) secureArgs(service string) []string {
	if c.users == "" {
		return nil
	}
	own := filepath.Join(c.PKI(), service)
	args := []string{"--nats.tls-ca", own + "/ca.crt"}
	if c.users == ByCertificate {
		args = append(args, "--nats.tls-cert", own+"/tls.crt", "--nats.tls-key", own+"/tls.key")
	} else {
		args = append(args, "--nats.user", service, "--nats.password-file", c.passwordFile(service))
	}
	if service == "topology" {
		return args
	}
	return append(args, "--grpc.tls-cert", own+"/tls.crt", "--grpc.tls-key", own+"/tls.key", "--grpc.tls-client-ca", own+"/ca.crt")
}

// secureEnv has client commands show the certificate of people.
func (c *Cluster) secureEnv() []string {
	own := filepath.Join(c.PKI(), "admin")
	return []string{"WEIR_TLS_CA=" + own + "/ca.crt", "WEIR_TLS_CERT=" + own + "/tls.crt", "WEIR_TLS_KEY=" + own + "/tls.key"}
}

// Topology declares the streams, which no service of a secure cluster may.
func (c *Cluster) Topology(ctx context.Context) error {
	args := append([]string{"topology", "apply", "--nats.url", "nats://" + c.nats}, c.secureArgs("topology")...)
	_, err := c.Weir(ctx, args...)
	return err
}

// Renew runs weir certs renew and has the NATS server read its files again.
func (c *Cluster) Renew(ctx context.Context, flags ...string) error {
	if _, err := c.Weir(ctx, slices.Concat([]string{"certs", "renew", c.PKI()}, flags)...); err != nil {
		return err
	}
	p := c.procs["nats"]
	const done = "Reloaded server configuration"
	before := strings.Count(p.Stderr(), done)
	if err := p.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	return Await(ctx, "the reload of nats-server", func() (bool, error) {
		if !p.Running() {
			return false, fmt.Errorf("it ended\n%s", p.Tail())
		}
		return strings.Count(p.Stderr(), done) > before, nil
	})
}

// Debug is what a process shows of itself on its admin address.
func (c *Cluster) Debug(ctx context.Context, name string) (string, error) {
	var out strings.Builder
	for _, path := range []string{"/debug/config", "/debug/state", "/debug/pprof/cmdline", "/metrics", "/readyz"} {
		text, err := get(ctx, "http://"+c.admin[name]+path)
		if err != nil {
			return "", err
		}
		out.WriteString(text)
	}
	return out.String(), nil
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

// Console starts a console with its own certificate, toward the services and toward
// browsers, and returns its URL once it listens. The cluster's end ends it.
func (c *Cluster) Console(ctx context.Context) (string, error) {
	addrs, err := c.ports.Take(1)
	if err != nil {
		return "", err
	}
	addr := addrs[0]
	own := filepath.Join(c.PKI(), "console")
	c.add(Command{Name: "console", Path: c.bin.Weir, Args: []string{
		"console", "--console-listen", addr, "--console.tls-cert", own + "/tls.crt", "--console.tls-key", own + "/tls.key",
		"--grpc.tls-cert", own + "/tls.crt", "--grpc.tls-key", own + "/tls.key", "--grpc.tls-client-ca", own + "/ca.crt",
		"--server", c.server, "--storage-server", c.storage,
	}})
	if err := c.Start("console"); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	p := c.procs["console"]
	err = Await(ctx, "the console", func() (bool, error) {
		if !p.Running() {
			return false, fmt.Errorf("it ended\n%s", p.Tail())
		}
		return dials(ctx, addr), nil
	})
	return "https://" + addr, err
}
