package e2e

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/test/driver"
)

// attempt is one thing that a user of NATS tries.
type attempt struct {
	user, subject string
	subscribe     bool
}

// refusedOnNATS has each user do what it may not, and one thing that it may.
func refusedOnNATS(t *testing.T, c *driver.Cluster) {
	foreign, err := authority.New("foreign", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		cert shown
		want error
	}{
		{"without a certificate", nil, nil},
		{"with one of a foreign authority", issued(t, c, foreign, authority.Request{Service: "scheduler"}), nil},
		{"with one that has ended", issued(t, c, nil, authority.Request{Service: "scheduler", Until: time.Now().Add(-time.Hour)}), nil},
		{"with one of no user: the console", ofService(t, c, "console"), nats.ErrAuthorization},
		{"with one of no user: people", ofService(t, c, "admin"), nats.ErrAuthorization},
		{"with one without an identity", issued(t, c, nil, authority.Request{Names: []string{"scheduler"}}), nats.ErrAuthorization},
	} {
		t.Run("connect "+tc.name, func(t *testing.T) {
			t.Parallel()
			nc, err := nats.Connect("nats://"+c.NATS(), nats.NoReconnect(), nats.Timeout(10*time.Second), nats.Secure(believing(t, c, tc.cert)))
			if err == nil {
				nc.Close()
				t.Fatal("it is let in")
			}
			if tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("connect in plain text", func(t *testing.T) { plainText(t, c, "") })
	const api = "$JS.API."
	for _, a := range []attempt{
		{"fetcher", "weir.result.0", false},
		{"fetcher", "weir.task.http.x", false},
		{"fetcher", "weir.fence.0", false},
		{"fetcher", "weir.links.0.x", false},
		{"fetcher", "weir.held.x", false},
		{"fetcher", "weir.dead.WEIR_RESULTS", false},
		{"fetcher", "$KV.weir_crawls.x", false},
		{"fetcher", "$KV.weir_partitions.p.0", false},
		{"fetcher", api + "CONSUMER.MSG.NEXT.WEIR_PAGES.parse", false},
		{"fetcher", api + "CONSUMER.MSG.NEXT.WEIR_RESULTS.result-0", false},
		{"fetcher", api + "STREAM.PURGE.WEIR_TASKS", false},
		{"fetcher", api + "DIRECT.GET.WEIR_RESULTS", false},
		{"fetcher", api + "DIRECT.GET.WEIR_TASKS", false},
		{"fetcher", api + "STREAM.MSG.GET.WEIR_TASKS", false},
		{"fetcher", api + "DIRECT.GET.KV_weir_partitions.$KV.weir_partitions.p.0", false},
		{"fetcher", api + "CONSUMER.CREATE.WEIR_TASKS.mine.weir.task.http.*", false},
		{"fetcher", "$JS.ACK.WEIR_PAGES.parse.1.1.1.1.0", false},
		{"fetcher", "weir.report.*", true},
		{"fetcher", "weir.result.*", true},
		{"fetcher", ">", true},
		{"fetcher", "_INBOX_scheduler.>", true},
		{"fetcher", "_INBOX_>", true},
		{"fetcher", "_INBOX.>", true},
		{"fetcher", "$SYS.>", true},
		{"fetcher", "$SYS.REQ.SERVER.PING", false},
		{"fetcher", "$JS.EVENT.ADVISORY.>", true},
		{"parser", api + "CONSUMER.MSG.NEXT.WEIR_TASKS.fetch-http", false},
		{"parser", "weir.result.0", false},
		{"parser", "weir.report.0", false},
		{"parser", api + "DIRECT.GET.WEIR_RECORDS", false},
		{"parser", api + "STREAM.MSG.DELETE.WEIR_RECORDS", false},
		{"parser", api + "STREAM.PURGE.WEIR_PAGES", false},
		{"parser", "$KV.weir_crawls.x", false},
		{"parser", ">", true},
		{"storage", "$KV.weir_partitions.p.0", false},
		{"storage", "$KV.weir_crawls.x", false},
		{"storage", "weir.task.http.x", false},
		{"storage", "weir.record.x", false},
		{"storage", api + "CONSUMER.MSG.NEXT.WEIR_PAGES.parse", false},
		{"storage", api + "STREAM.DELETE.WEIR_RECORDS", false},
		{"storage", api + "STREAM.CREATE.MINE", false},
		{"storage", "_INBOX_parser.>", true},
		{"scheduler", api + "STREAM.DELETE.WEIR_TASKS", false},
		{"scheduler", api + "STREAM.UPDATE.WEIR_TASKS", false},
		{"scheduler", api + "STREAM.DELETE.KV_weir_crawls", false},
		{"scheduler", api + "STREAM.PURGE.WEIR_RESULTS", false},
		{"scheduler", api + "CONSUMER.DELETE.WEIR_TASKS.fetch-http", false},
		{"scheduler", api + "CONSUMER.MSG.NEXT.WEIR_TASKS.fetch-http", false},
		{"scheduler", "weir.result.0", false},
		{"scheduler", "weir.record.x", false},
		{"scheduler", ">", true},
		{"topology", "weir.task.http.x", false},
		{"topology", api + "CONSUMER.MSG.NEXT.WEIR_RESULTS.result-0", false},
		{"topology", api + "STREAM.MSG.GET.WEIR_PAGES", false},
		{"topology", api + "STREAM.PURGE.WEIR_PAGES", false},
		{"topology", api + "STREAM.DELETE.SOMEBODY_ELSES", false},
		{"topology", "$KV.weir_crawls.x", false},
		{"topology", "weir.page.*", true},
	} {
		t.Run(strings.ReplaceAll(a.user+verb(a)+a.subject, "$", ""), func(t *testing.T) {
			t.Parallel()
			if err := a.try(t, c); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), a.subject) {
				t.Errorf("got %v, want a violation of permissions that names the subject", err)
			}
		})
	}
	// And what each may: a message that nobody takes, a call without effect.
	for _, a := range []attempt{
		{"fetcher", "weir.report.4000", false}, {"fetcher", "_INBOX_fetcher.x", true}, {"parser", api + "STREAM.INFO.WEIR_PAGES", false},
		{"storage", api + "STREAM.INFO.KV_weir_crawls", false}, {"scheduler", api + "STREAM.INFO.WEIR_TASKS", false},
		{"scheduler", "weir.report.*", true}, {"topology", api + "STREAM.NAMES", false},
	} {
		t.Run("fine: "+strings.ReplaceAll(a.user+verb(a)+a.subject, "$", ""), func(t *testing.T) {
			t.Parallel()
			if err := a.try(t, c); err != nil {
				t.Error(err)
			}
		})
	}
}

func verb(a attempt) string {
	if a.subscribe {
		return " hears "
	}
	return " publishes "
}

// try does it and returns what the server says of it.
func (a attempt) try(t *testing.T, c *driver.Cluster) error {
	t.Helper()
	nc, err := nats.Connect("nats://"+c.NATS(), nats.NoReconnect(), nats.Timeout(10*time.Second),
		nats.Secure(believing(t, c, ofService(t, c, a.user))), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if a.subscribe {
		_, err = nc.SubscribeSync(a.subject)
	} else {
		err = nc.PublishRequest(a.subject, "_INBOX_"+a.user+".x", []byte("{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return nc.LastError() // it comes before the answer to the flush
}

// refusedPasswords tries to log in.
func refusedPasswords(t *testing.T, c *driver.Cluster) {
	for _, tc := range []struct {
		name, user, password string
		want                 error
	}{
		{"right", "fetcher", driver.Password("fetcher"), nil},
		{"nobody", "", "", nats.ErrAuthorization},
		{"wrong password", "fetcher", "guess", nats.ErrAuthorization},
		{"another's password", "fetcher", driver.Password("scheduler"), nats.ErrAuthorization},
		{"no such user", "console", driver.Password("console"), nats.ErrAuthorization},
	} {
		t.Run("password: "+tc.name, func(t *testing.T) {
			t.Parallel()
			opts := []nats.Option{nats.NoReconnect(), nats.Timeout(10 * time.Second), nats.Secure(believing(t, c, nil))}
			if tc.user != "" {
				opts = append(opts, nats.UserInfo(tc.user, tc.password))
			}
			nc, err := nats.Connect("nats://"+c.NATS(), opts...)
			if err == nil {
				nc.Close()
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("password: right, but in plain text", func(t *testing.T) {
		plainText(t, c, `"user":"fetcher","pass":"`+driver.Password("fetcher")+`",`)
	})
}

// plainText speaks the protocol of NATS by hand, since its client would change to TLS.
func plainText(t *testing.T, c *driver.Cluster, credentials string) {
	t.Parallel()
	conn, err := net.Dial("tcp", c.NATS())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	info, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(info, `"tls_required":true`) {
		t.Fatalf("the server greets with %q, %v", info, err)
	}
	if _, err := conn.Write([]byte("CONNECT {" + credentials + `"verbose":false}` + "\r\nPING\r\n")); err != nil {
		return // it is gone
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return // it has hung up
		}
		if strings.HasPrefix(line, "PONG") {
			t.Fatal("it is let in")
		}
	}
}
