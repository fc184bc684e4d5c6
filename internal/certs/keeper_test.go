package certs_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/certs"
	"github.com/weircrawl/weir/internal/crawl"
)

// newAuthority makes one that is good for an hour.
func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.New("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// write puts a pair and authorities into a folder, as a secret of Kubernetes has them.
func write(t *testing.T, dir string, r authority.Request, signer *authority.Authority, trusted ...*authority.Authority) certs.Files {
	t.Helper()
	if r.From.IsZero() {
		r.From = time.Now().Add(-time.Hour)
	}
	if r.Until.IsZero() {
		r.Until = time.Now().Add(time.Hour)
	}
	cert, key, err := signer.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, a := range trusted {
		all = append(all, a.Cert()...)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": all} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return authority.Files(dir, "")
}

func open(t *testing.T, files certs.Files) *certs.Keeper {
	t.Helper()
	k, err := certs.Open(files, certs.Deps{Use: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shake does a handshake over loopback and returns the errors of both sides.
func shake(t *testing.T, server, client *tls.Config, host string) (serverErr, clientErr error) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		tc := tls.Server(conn, server)
		if err := tc.Handshake(); err != nil {
			done <- err
			return
		}
		_, err = tc.Write([]byte("hi"))
		done <- err
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client = client.Clone()
	client.ServerName = host
	tc := tls.Client(conn, client)
	clientErr = tc.Handshake()
	if clientErr == nil { // what a server thinks of a client shows at the first byte
		_, clientErr = io.ReadFull(tc, make([]byte, 2))
	}
	_ = conn.Close()
	return <-done, clientErr
}

func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t), newAuthority(t)
	past := time.Now().Add(-time.Minute)
	storage := authority.Request{Service: certs.Storage, Names: []string{"storage.test"}}
	fetcher := authority.Request{Service: certs.Fetcher}
	for _, tc := range []struct {
		name           string
		server, client authority.Request
		serverBy       *authority.Authority
		clientBy       *authority.Authority
		host           string
		optional       bool
		bare           bool   // the client shows nothing
		serverSays     string // part of its error, "" for none
		clientSays     string
	}{
		{name: "identity", server: storage, client: fetcher, host: "10.0.0.7"},
		{name: "no identity, right host", server: authority.Request{Names: []string{"storage.test"}}, client: fetcher, host: "storage.test"},
		{name: "no identity, right address", server: authority.Request{Names: []string{"10.0.0.7"}}, client: fetcher, host: "10.0.0.7"},
		{name: "no identity, wrong host", server: authority.Request{Names: []string{"storage.test"}}, client: fetcher, host: "other.test",
			clientSays: "names neither spiffe://weir/storage nor the host other.test", serverSays: "bad certificate"},
		{name: "another service on the right host", server: authority.Request{Service: certs.Parser, Names: []string{"storage.test"}}, client: fetcher, host: "storage.test",
			clientSays: `of parser, want storage`, serverSays: "bad certificate"},
		{name: "server of a foreign authority", server: storage, serverBy: foreign, client: fetcher, host: "storage.test",
			clientSays: "signed by unknown authority", serverSays: "bad certificate"},
		{name: "client of a foreign authority", server: storage, client: fetcher, clientBy: foreign, host: "storage.test",
			serverSays: "unknown authority", clientSays: "certificate"},
		{name: "client of a foreign authority where none is needed", server: storage, client: fetcher, clientBy: foreign, host: "storage.test", optional: true,
			serverSays: "unknown authority", clientSays: "certificate"},
		{name: "client without a certificate", server: storage, client: fetcher, bare: true, host: "storage.test",
			serverSays: "client didn't provide a certificate", clientSays: "certificate required"},
		{name: "client without a certificate where none is needed", server: storage, client: fetcher, bare: true, host: "storage.test", optional: true},
		{name: "client whose certificate has ended", server: storage, client: authority.Request{Service: certs.Fetcher, Until: past}, host: "storage.test",
			serverSays: "expired", clientSays: "expired"},
		{name: "client whose certificate has not begun", server: storage, client: authority.Request{Service: certs.Fetcher, From: time.Now().Add(time.Minute)}, host: "storage.test",
			serverSays: "not yet valid", clientSays: "certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			by := func(a *authority.Authority) *authority.Authority {
				if a == nil {
					return ours
				}
				return a
			}
			server := open(t, write(t, filepath.Join(dir, "server"), tc.server, by(tc.serverBy), ours)).Server(tc.optional)
			files := write(t, filepath.Join(dir, "client"), tc.client, by(tc.clientBy), ours)
			pair, err := tls.LoadX509KeyPair(files.Cert, files.Key) // one that Open would refuse, too
			if err != nil {
				t.Fatal(err)
			}
			files.Cert, files.Key = "", ""
			client := open(t, files).Client([]string{tc.host}, certs.Storage)
			if !tc.bare {
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			serverErr, clientErr := shake(t, server, client, tc.host)
			check := func(who string, err error, want string) {
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", who, err, want)
				}
			}
			check("server", serverErr, tc.serverSays)
			check("client", clientErr, tc.clientSays)
		})
	}
}

func TestPlainTextClient(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	server := open(t, write(t, t.TempDir(), authority.Request{Service: certs.Storage}, ours, ours)).Server(false)
	in, out := net.Pipe()
	go func() {
		_, _ = out.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		_, _ = io.Copy(io.Discard, out)
	}()
	err := tls.Server(in, server).Handshake()
	_, _ = in.Close(), out.Close()
	if _, ok := errors.AsType[tls.RecordHeaderError](err); !ok {
		t.Errorf("got %v", err)
	}
}

// The next handshake uses what is in the files, in each of the ways that files are
// replaced.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		// place makes dir lead to the files of version, which are elsewhere.
		place func(t *testing.T, dir, version string)
	}{
		{"written in place", func(t *testing.T, dir, version string) {
			for _, f := range []string{"tls.crt", "tls.key", "ca.crt"} {
				data, err := os.ReadFile(filepath.Join(version, f))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, f), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}},
		// As kubelet does: DIR/tls.crt -> ..data/tls.crt, ..data -> a folder.
		{"links of a Kubernetes secret", func(t *testing.T, dir, version string) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			next := filepath.Join(dir, "..data_tmp")
			if err := os.Symlink(version, next); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"tls.crt", "tls.key", "ca.crt"} {
				if err := os.Symlink(filepath.Join("..data", f), filepath.Join(dir, f)); err != nil && !errors.Is(err, os.ErrExist) {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			before, after := newAuthority(t), newAuthority(t)
			at := func(who, step string) string { return filepath.Join(root, who+"-"+step) }
			set := func(who, service, step string, signer *authority.Authority, trusted ...*authority.Authority) {
				version := at(who, step)
				write(t, version, authority.Request{Service: service}, signer, trusted...)
				tc.place(t, at(who, "live"), version)
			}
			set("s", certs.Storage, "1", before, before)
			set("c", certs.Fetcher, "1", before, before)
			server := open(t, authority.Files(at("s", "live"), ""))
			client := open(t, authority.Files(at("c", "live"), ""))
			// Made once, as a process does.
			serverTLS, clientTLS := server.Server(false), client.Client(nil, certs.Storage)
			works := func(step string) {
				t.Helper()
				if se, ce := shake(t, serverTLS, clientTLS, "x"); se != nil || ce != nil {
					t.Fatalf("%s: server %v, client %v", step, se, ce)
				}
			}
			works("before")
			// Trust, then sign, then forget; one process after the other.
			set("s", certs.Storage, "2", before, after, before)
			works("the server trusts both")
			set("c", certs.Fetcher, "2", before, after, before)
			works("both trust both")
			set("s", certs.Storage, "3", after, after, before)
			works("the server's is new")
			set("c", certs.Fetcher, "3", after, after)
			works("the client's is new, and it has forgotten the old authority")
			set("s", certs.Storage, "4", after, after)
			works("both have")
			set("c", certs.Fetcher, "5", before, after)
			if se, ce := shake(t, serverTLS, clientTLS, "x"); se == nil || ce == nil {
				t.Error("a certificate of the old authority is still believed")
			}
		})
	}
}

// What cannot be used is told once, and does no harm.
func TestBrokenFilesLeaveTheOldOnes(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	for name, damage := range map[string]func(t *testing.T, f certs.Files){
		"another's key": func(t *testing.T, f certs.Files) {
			other := write(t, t.TempDir(), authority.Request{Service: certs.Storage}, ours, ours)
			copyFile(t, other.Key, f.Key)
		},
		"no certificate": func(t *testing.T, f certs.Files) { remove(t, f.Cert) },
		"no authority":   func(t *testing.T, f certs.Files) { remove(t, f.Authority) },
		"empty authority": func(t *testing.T, f certs.Files) {
			if err := os.WriteFile(f.Authority, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"half a certificate": func(t *testing.T, f certs.Files) {
			if err := os.Truncate(f.Cert, 100); err != nil {
				t.Fatal(err)
			}
		},
		"ended": func(t *testing.T, f certs.Files) {
			write(t, filepath.Dir(f.Cert), authority.Request{Service: certs.Storage, Until: time.Now().Add(-time.Minute)}, ours, ours)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			request := authority.Request{Service: certs.Storage}
			files := write(t, dir, request, ours, ours)
			var log bytes.Buffer
			reg := prometheus.NewRegistry()
			server, err := certs.Open(files, certs.Deps{Use: "grpc", Log: slog.New(slog.NewTextHandler(&log, nil)), Registry: reg})
			if err != nil {
				t.Fatal(err)
			}
			client := open(t, write(t, t.TempDir(), authority.Request{Service: certs.Fetcher}, ours, ours)).Client(nil, certs.Storage)
			damage(t, files)
			for range 3 {
				if se, ce := shake(t, server.Server(false), client, "x"); se != nil || ce != nil {
					t.Fatalf("server %v, client %v", se, ce)
				}
			}
			if err := server.Check(); err == nil {
				t.Error("Check says that the files are good")
			}
			if n := strings.Count(log.String(), "cannot use the certificates"); n != 1 {
				t.Errorf("told %d times:\n%s", n, log.String())
			}
			write(t, dir, request, ours, ours)
			if se, ce := shake(t, server.Server(false), client, "x"); se != nil || ce != nil {
				t.Fatalf("after mending: server %v, client %v", se, ce)
			}
			if err := server.Check(); err != nil {
				t.Error(err)
			}
			want := `# HELP weir_tls_reload_failures_total Times that the certificate files held something that cannot be used, by use; what was before stays in use. Rising: see the log, and mend the files before the old certificate ends.
# TYPE weir_tls_reload_failures_total counter
weir_tls_reload_failures_total{use="grpc"} 1
# HELP weir_tls_reloads_total Times that replaced certificates were taken up, by use. It should follow every renewal.
# TYPE weir_tls_reloads_total counter
weir_tls_reloads_total{use="grpc"} 1
`
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "weir_tls_reload_failures_total", "weir_tls_reloads_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExpiryMetric(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	dir := t.TempDir()
	until := time.Unix(time.Now().Unix()+1000, 0)
	files := write(t, dir, authority.Request{Service: certs.Storage, Until: until}, ours, ours)
	reg := prometheus.NewRegistry()
	if _, err := certs.Open(files, certs.Deps{Use: "nats", Registry: reg}); err != nil {
		t.Fatal(err)
	}
	get := func() float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "weir_tls_certificate_expiry_timestamp_seconds" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
	if got := get(); got != float64(until.Unix()) {
		t.Errorf("got %f, want %d", got, until.Unix())
	}
	// Nobody connects, and the renewal shows all the same.
	until = until.Add(time.Minute)
	write(t, dir, authority.Request{Service: certs.Storage, Until: until}, ours, ours)
	if got := get(); got != float64(until.Unix()) {
		t.Errorf("after a renewal %f, want %d", got, until.Unix())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	ended := write(t, t.TempDir(), authority.Request{Until: time.Now().Add(-time.Minute)}, ours, ours)
	good := write(t, t.TempDir(), authority.Request{}, ours, ours)
	for name, tc := range map[string]struct {
		files certs.Files
		want  string
	}{
		"no key":       {certs.Files{Cert: good.Cert}, "go together"},
		"missing":      {certs.Files{Cert: "nowhere.crt", Key: good.Key}, "nowhere.crt"},
		"ended":        {ended, "weir certs renew"},
		"swapped":      {certs.Files{Cert: good.Key, Key: good.Cert}, good.Key},
		"no authority": {certs.Files{Authority: good.Key}, "holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := certs.Open(tc.files, certs.Deps{}); crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
