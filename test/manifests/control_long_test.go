//go:build long

package manifests

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startTime bounds the start of the control plane on a busy machine.
const startTime = 3 * time.Minute

// apiServer is a kube-apiserver over an etcd of its own, without controllers: objects
// are checked and kept, and nothing is run.
type apiServer struct {
	url, token string
	http       *http.Client
	kinds      map[string]kind
}

// kind is where the API has the objects of a kind.
type kind struct {
	path       string // with the namespace's place, %s, where there is one
	namespaced bool
}

// startAPIServer starts both from the programs in bin and waits until they are ready.
func startAPIServer(t *testing.T, bin string) *apiServer {
	t.Helper()
	dir := t.TempDir()
	ports := freePorts(t, 3)
	etcd := "http://127.0.0.1:" + ports[0]
	peer := "http://127.0.0.1:" + ports[1]
	start(t, filepath.Join(bin, "etcd"), "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	a := &apiServer{url: "https://127.0.0.1:" + ports[2], token: rand.Text(), kinds: map[string]kind{}}
	certs, key, tokens := filepath.Join(dir, "certs"), filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens.csv")
	writeKey(t, key)
	if err := os.WriteFile(tokens, []byte(a.token+",admin,admin,system:masters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := start(t, filepath.Join(bin, "kube-apiserver"), "--etcd-servers", etcd, "--secure-port", ports[2],
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none",
		"--cert-dir", certs, "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	await(ctx, t, "the API server's certificate", func() bool {
		pem, err := os.ReadFile(filepath.Join(certs, "apiserver.crt"))
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return false
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 4}
		a.http = &http.Client{Transport: transport, Timeout: time.Minute}
		return true
	})
	t.Cleanup(a.http.CloseIdleConnections)
	await(ctx, t, "the API server", func() bool {
		select {
		case <-ended:
			t.Fatal("the API server ended")
		default:
		}
		return a.do(ctx, http.MethodGet, "/readyz", "", nil).code == http.StatusOK
	})
	return a
}

// start runs a program until the test ends, and returns a channel that is closed when it
// ends by itself. What it writes is shown when the test fails.
func start(t *testing.T, path string, args ...string) <-chan struct{} {
	t.Helper()
	cmd := exec.Command(path, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v; make k8s-api builds it", path, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed: always an error
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(path), said.Bytes()[max(0, said.Len()-4000):])
		}
	})
	return ended
}

// freePorts finds ports that nobody listens on.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

// writeKey makes the key that tokens of ServiceAccounts would be signed with.
func writeKey(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// await asks again and again until done says yes.
func await(ctx context.Context, t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// answer is what the API said.
type answer struct {
	code     int
	body     []byte
	warnings []string
}

// String is what it said, with what it warned of.
func (a answer) String() string {
	return fmt.Sprintf("%d %.1500s %v", a.code, a.body, a.warnings)
}

// do makes one request. Its code is 0 when there was no answer.
func (a *apiServer) do(ctx context.Context, method, path, contentType string, body []byte) answer {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return answer{body: []byte(err.Error())}
	}
	return answer{code: resp.StatusCode, body: data, warnings: resp.Header.Values("Warning")}
}

// kindOf finds out where the objects of a kind are, as kubectl does.
func (a *apiServer) kindOf(t *testing.T, version, name string) kind {
	t.Helper()
	if k, ok := a.kinds[version+"/"+name]; ok {
		return k
	}
	prefix := "/apis/" + version
	if !strings.Contains(version, "/") {
		prefix = "/api/" + version
	}
	var list struct {
		Resources []struct {
			Name, Kind string
			Namespaced bool
		}
	}
	got := a.do(t.Context(), http.MethodGet, prefix, "", nil)
	if err := json.Unmarshal(got.body, &list); err != nil || got.code != http.StatusOK {
		t.Fatalf("kinds of %s: %s", version, got)
	}
	for _, r := range list.Resources {
		k := kind{path: prefix + "/" + r.Name, namespaced: r.Namespaced}
		if r.Namespaced {
			k.path = prefix + "/namespaces/" + namespace + "/" + r.Name
		}
		if !strings.Contains(r.Name, "/") {
			a.kinds[version+"/"+r.Kind] = k
		}
	}
	k, ok := a.kinds[version+"/"+name]
	if !ok {
		t.Fatalf("the API has no kind %s of %s", name, version)
	}
	return k
}

// path is where an object is.
func (a *apiServer) path(t *testing.T, o object) string {
	t.Helper()
	return a.kindOf(t, o.Version, o.Kind).path + "/" + o.Name
}

// apply applies an object on the server's side, with every field validated.
func (a *apiServer) apply(t *testing.T, o object, dryRun bool) answer {
	t.Helper()
	query := "?fieldManager=test&force=true&fieldValidation=Strict"
	if dryRun {
		query += "&dryRun=All"
	}
	return a.do(t.Context(), http.MethodPatch, a.path(t, o)+query, "application/apply-patch+yaml", o.Data)
}
