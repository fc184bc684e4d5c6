package bus_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/weircrawl/weir/internal/bus"
)

// A server with operator, account and users in JWTs: the users' credentials files work,
// with the same permissions.
func TestCredentialsFiles(t *testing.T) {
	t.Parallel()
	pair := func(f func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		k, err := f()
		must(t, err)
		public, err := k.PublicKey()
		must(t, err)
		return k, public
	}
	operator, operatorID := pair(nkeys.CreateOperator)
	_, accountID := pair(nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(accountID)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	dir := t.TempDir()
	for _, name := range bus.Users() {
		// The permissions are those of the key that signs, as in nsc's roles: within the
		// user's own JWT they would be longer than a line of the protocol may be.
		signer, signerID := pair(nkeys.CreateAccount)
		role, p := jwt.NewUserScope(), bus.PermissionsOf(name)
		role.Key, role.Role = signerID, name
		role.Template.Pub.Allow, role.Template.Sub.Allow = p.Publish, p.Subscribe
		claims.SigningKeys.AddScopedSigner(role)
		user, userID := pair(nkeys.CreateUser)
		c := jwt.NewUserClaims(userID)
		c.IssuerAccount = accountID
		c.SetScoped(true)
		token, err := c.Encode(signer)
		must(t, err)
		seed, err := user.Seed()
		must(t, err)
		creds, err := jwt.FormatUserConfig(token, seed)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), creds, 0o600))
	}
	accountJWT, err := claims.Encode(operator)
	must(t, err)
	resolver := &server.MemAccResolver{}
	must(t, resolver.Store(accountID, accountJWT))
	_, systemID := pair(nkeys.CreateAccount)
	systemJWT, err := jwt.NewAccountClaims(systemID).Encode(operator)
	must(t, err)
	must(t, resolver.Store(systemID, systemJWT))
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 40, NoSigs: true, NoLog: true,
		TrustedKeys: []string{operatorID}, AccountResolver: resolver, SystemAccount: systemID,
	})
	must(t, err)
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(deadline) {
		t.Fatal("the server did not start")
	}
	connect := func(name string) *bus.Bus {
		cfg := bus.EmbeddedConfig()
		cfg.URL, cfg.CredsFile = ns.ClientURL(), filepath.Join(dir, name)
		b, err := bus.Connect(t.Context(), cfg, bus.Deps{Name: name})
		must(t, err)
		t.Cleanup(b.Close)
		return b
	}
	must(t, connect("topology").DeclareTopology(t.Context(), 1))
	fetcher := connect("fetcher")
	must(t, fetcher.PublishAll(t.Context(), page(1)))
	if err := fetcher.Publish(t.Context(), result(1)).Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "weir topology permissions") {
		t.Errorf("a fetcher publishes a result: %v", err)
	}
}
