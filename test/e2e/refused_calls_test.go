package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/internal/authority"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/test/driver"
)

// shown is a client's certificate; nil for none.
type shown *tls.Certificate

// ofService is the certificate that a service of the cluster shows.
func ofService(t *testing.T, c *driver.Cluster, name string) shown {
	t.Helper()
	files := authority.Files(c.PKI(), name)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// issued is a certificate that an authority makes for a test; nil is the cluster's.
func issued(t *testing.T, c *driver.Cluster, by *authority.Authority, r authority.Request) shown {
	t.Helper()
	if by == nil {
		cert, err := os.ReadFile(filepath.Join(c.PKI(), "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(filepath.Join(c.PKI(), "ca.key"))
		if err != nil {
			t.Fatal(err)
		}
		if by, err = authority.Load(cert, key); err != nil {
			t.Fatal(err)
		}
	}
	if r.Until.IsZero() {
		r.Until = time.Now().Add(time.Hour)
	}
	if r.From.IsZero() {
		r.From = time.Now().Add(-2 * time.Hour)
	}
	cert, key, err := by.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// believing is a client's TLS, made here without the code under test. A certificate is
// shown whatever the server asks for.
func believing(t *testing.T, c *driver.Cluster, cert shown) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(c.PKI(), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	cfg := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "localhost"}
	if cert != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	return cfg
}

// rpcCall is a call over a connection of its own.
type rpcCall func(context.Context, *grpc.ClientConn) error

// refusedCalls makes calls that must be refused, each over a real connection, and beside
// them some that must not, lest everything be refused.
func refusedCalls(t *testing.T, c *driver.Cluster, all tokens) {
	list := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := schedulerv1.NewCrawlServiceClient(cc).ListCrawls(ctx, &schedulerv1.ListCrawlsRequest{})
		return err
	}
	create := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := schedulerv1.NewCrawlServiceClient(cc).CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: &crawlv1.CrawlSpec{}})
		return err
	}
	cancel := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := schedulerv1.NewCrawlServiceClient(cc).CancelCrawl(ctx, &schedulerv1.CancelCrawlRequest{Crawl: "x"})
		return err
	}
	remove := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := schedulerv1.NewCrawlServiceClient(cc).DeleteCrawl(ctx, &schedulerv1.DeleteCrawlRequest{Crawl: "x"})
		return err
	}
	stats := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := storagev1.NewStorageServiceClient(cc).GetStats(ctx, &storagev1.GetStatsRequest{CrawlId: "x"})
		return err
	}
	drop := func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := storagev1.NewStorageServiceClient(cc).DeleteCrawl(ctx, &storagev1.DeleteCrawlRequest{CrawlId: "x"})
		return err
	}
	getBody := func(ctx context.Context, cc *grpc.ClientConn) error {
		s, err := storagev1.NewStorageServiceClient(cc).GetBody(ctx, &storagev1.GetBodyRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		return err
	}
	putBody := func(ctx context.Context, cc *grpc.ClientConn) error {
		s, err := storagev1.NewStorageServiceClient(cc).PutBody(ctx)
		if err == nil {
			_, err = s.CloseAndRecv()
		}
		return err
	}
	token := func(text string, f rpcCall) rpcCall {
		return func(ctx context.Context, cc *grpc.ClientConn) error {
			return f(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+text), cc)
		}
	}
	foreign, err := authority.New("foreign", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const (
		scheduler, storage = "scheduler", "storage"
		broken             = codes.Unavailable // no connection comes about
	)
	service := func(name string) shown { return ofService(t, c, name) }
	made := func(by *authority.Authority, r authority.Request) shown { return issued(t, c, by, r) }
	for _, tc := range []struct {
		name  string
		to    string
		plain bool
		cert  shown
		call  rpcCall
		want  codes.Code
	}{
		// What works: an error of these is one about the request.
		{"fine: people's certificate", scheduler, false, service("admin"), list, codes.OK},
		{"fine: a token to read", scheduler, false, nil, token(all.read, list), codes.OK},
		{"fine: a token to submit", scheduler, false, nil, token(all.submit, cancel), codes.NotFound},
		{"fine: a token of people who may delete", scheduler, false, nil, token(all.admin, remove), codes.NotFound},
		{"fine: a scheduler asks another", scheduler, false, service("scheduler"), list, codes.OK},
		{"fine: a parser reads a body", storage, false, service("parser"), getBody, codes.InvalidArgument},

		{"plain text to the scheduler", scheduler, true, nil, list, broken},
		{"plain text to the storage", storage, true, nil, stats, broken},
		{"plain text with a token", scheduler, true, nil, token(all.admin, list), broken},
		{"no certificate", storage, false, nil, stats, broken},
		{"no certificate, but a token, where there are none", storage, false, nil, token(all.admin, stats), broken},
		{"of a foreign authority", scheduler, false, made(foreign, authority.Request{Service: "scheduler"}), list, broken},
		{"of a foreign authority, with a token", scheduler, false, made(foreign, authority.Request{Service: "admin"}), token(all.admin, list), broken},
		{"of a foreign authority, at the storage", storage, false, made(foreign, authority.Request{Service: "fetcher"}), putBody, broken},
		{"ended", scheduler, false, made(nil, authority.Request{Service: "admin", Until: time.Now().Add(-time.Hour)}), list, broken},
		{"not begun", storage, false, made(nil, authority.Request{Service: "admin", From: time.Now().Add(30 * time.Minute)}), stats, broken},
		{"without an identity", scheduler, false, made(nil, authority.Request{Names: []string{"scheduler"}}), list, codes.Unauthenticated},
		{"of a service that there is not", scheduler, false, made(nil, authority.Request{Service: "root"}), list, codes.Unauthenticated},
		{"the NATS server's", scheduler, false, service("nats"), list, codes.Unauthenticated},
		{"that of topology", scheduler, false, service("topology"), list, codes.Unauthenticated},
		{"the console's, for nobody", scheduler, false, service("console"), list, codes.PermissionDenied},
		{"a fetcher looks at crawls", scheduler, false, service("fetcher"), list, codes.PermissionDenied},
		{"a fetcher deletes at the storage", storage, false, service("fetcher"), drop, codes.PermissionDenied},
		{"a fetcher reads a body", storage, false, service("fetcher"), getBody, codes.PermissionDenied},
		{"a parser writes a body", storage, false, service("parser"), putBody, codes.PermissionDenied},
		{"a parser makes a crawl", scheduler, false, service("parser"), create, codes.PermissionDenied},
		{"a storage cancels a crawl", scheduler, false, service("storage"), cancel, codes.PermissionDenied},
		{"a storage asks another", storage, false, service("storage"), stats, codes.PermissionDenied},
		{"a scheduler asks the storage", storage, false, service("scheduler"), stats, codes.PermissionDenied},
		{"a fetcher says that it calls for somebody", scheduler, false, service("fetcher"), func(ctx context.Context, cc *grpc.ClientConn) error {
			return list(metadata.AppendToOutgoingContext(ctx, "weir-caller", `{"name":"boss","role":"admin"}`, "weir-forwarded", "1"), cc)
		}, codes.PermissionDenied},
		{"no token", scheduler, false, nil, list, codes.Unauthenticated},
		{"an unknown token", scheduler, false, nil, token("weir_0000000000000000000000000000000000000000000", list), codes.Unauthenticated},
		{"a token that has ended", scheduler, false, nil, token(all.ended, list), codes.Unauthenticated},
		{"a token to read makes a crawl", scheduler, false, nil, token(all.read, create), codes.PermissionDenied},
		{"a token to submit deletes one", scheduler, false, nil, token(all.submit, remove), codes.PermissionDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			creds := insecure.NewCredentials()
			if !tc.plain {
				creds = credentials.NewTLS(believing(t, c, tc.cert))
			}
			cc, err := grpc.NewClient("passthrough:///"+c.Addr(tc.to), grpc.WithTransportCredentials(creds))
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err = tc.call(ctx, cc)
			if status.Code(err) != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			text := fmt.Sprint(err)
			if tc.want == broken && !strings.Contains(text, "tls") && !strings.Contains(text, "reading server preface") && !strings.Contains(text, "connection") && !strings.Contains(text, "broken pipe") {
				t.Errorf("got %v, want an error of the connection", err)
			}
			for _, secret := range []string{all.read, all.submit, all.admin, all.ended} {
				if strings.Contains(text, secret) {
					t.Errorf("the error has a token in it: %s", text)
				}
			}
		})
	}
	t.Run("a service takes another for the one it wants", func(t *testing.T) {
		t.Parallel()
		// The address of the scheduler, said to be the storage's: the command line has the
		// check of services.
		_, err := c.Weir(t.Context(), "items", "x", "--server", c.Addr("scheduler"), "--storage-server", c.Addr("storage"))
		if err == nil || strings.Contains(err.Error(), "certificate is of") {
			t.Errorf("the right addresses: %v", err)
		}
		_, err = c.Weir(t.Context(), "ls", "--server", c.Addr("storage"))
		if err == nil || !strings.Contains(err.Error(), "certificate is of storage, want scheduler") {
			t.Errorf("got %v", err)
		}
	})
}
