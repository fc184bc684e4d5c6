package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.With(m)) }

func TestPassing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		want   bool
		advice string
	}{
		{"connection broke", errors.New("unexpected EOF"), true, ""},
		{"no row", pgx.ErrNoRows, false, ""},
		{"ours", crawl.Errorf(crawl.Invalid, "no"), false, ""},
		{"serialization", &pgconn.PgError{Code: "40001"}, true, ""},
		{"server shuts down", &pgconn.PgError{Code: "57P01"}, true, ""},
		{"disk full", fmt.Errorf("copy: %w", &pgconn.PgError{Code: "53100"}), true, ": no space left"},
		{"standby", &pgconn.PgError{Code: "25006"}, true, ": the server is a standby"},
		{"idle too long", &pgconn.PgError{Code: "25P03"}, true, ""},
		{"password", &pgconn.PgError{Code: "28P01"}, false, ": check user and password"},
		{"no database", &pgconn.PgError{Code: "3D000"}, false, ": create the database"},
		{"a row twice", &pgconn.PgError{Code: "23505"}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := postgres.Passing(tt.err); got != tt.want {
				t.Errorf("passing: %v", got)
			}
			if got := postgres.Advice(tt.err); got != tt.advice && (tt.advice == "" || !strings.HasPrefix(got, tt.advice)) {
				t.Errorf("advice %q, want %q", got, tt.advice)
			}
		})
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	passing, final := errors.New("passing"), errors.New("final")
	is := func(err error) bool { return errors.Is(err, passing) }
	tests := []struct {
		name  string
		fails []error
		want  error
		tries int
		took  time.Duration
	}{
		{"at once", nil, nil, 1, 0},
		{"the third time", []error{passing, passing}, nil, 3, 60 * time.Millisecond},
		{"a final one", []error{passing, final}, final, 2, 20 * time.Millisecond},
		{"patience ends", []error{passing, passing, passing, passing, passing, passing, passing, passing, passing}, passing, 8, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, tries := time.Now(), 0
				err := postgres.Retry(t.Context(), 3*time.Second, is, func(context.Context) error {
					if tries++; tries <= len(tt.fails) {
						return tt.fails[tries-1]
					}
					return nil
				})
				if !errors.Is(err, tt.want) || tries != tt.tries || time.Since(start) != tt.took {
					t.Errorf("%v after %d tries and %v", err, tries, time.Since(start))
				}
			})
		})
	}
}

// TestRetrySaysWhy: a try that patience cuts off has nothing to tell.
func TestRetrySaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused, tries := errors.New("refused"), 0
		err := postgres.Retry(t.Context(), time.Second, func(error) bool { return true }, func(ctx context.Context) error {
			if tries++; tries == 1 {
				return refused
			}
			<-ctx.Done()
			return fmt.Errorf("connect: %w", ctx.Err())
		})
		if !errors.Is(err, refused) || tries != 2 {
			t.Errorf("%v after %d tries", err, tries)
		}
	})
}

// TestMigrate: several processes bring one database to the newest version; one that
// knows only an older version uses the tables if they are made so, and otherwise says
// that it cannot.
func TestMigrate(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Config{What: "shelf", DSN: pgtest.Database(t), Connections: 8, Statement: time.Minute, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)} }
	all := []*fstest.MapFile{file("CREATE TABLE a (n int);\n"), file("-- weir: usable from 1\nINSERT INTO a VALUES (1);\n"), file("INSERT INTO a VALUES (2);\n")}
	tables := func(n int) postgres.Tables {
		files := fstest.MapFS{}
		for i, f := range all[:n] {
			files[fmt.Sprintf("%05d_step.sql", i+1)] = f
		}
		return postgres.Tables{What: "shelf", Files: files, Version: "shelf_version"}
	}
	check := func(knows int, want string) {
		t.Helper()
		if state, err := tables(knows).Check(t.Context(), pool); err != nil || state.String() != want {
			t.Errorf("a program that knows %d says %q, %v; want %q", knows, state, err, want)
		}
	}
	check(2, "shelf: no tables yet; this program makes version 2")
	check(2, "shelf: no tables yet; this program makes version 2") // it changed nothing
	done := make(chan error)
	for range 3 {
		go func() { _, err := tables(2).Migrate(t.Context(), pool); done <- err }()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM a").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	check(2, "shelf: version 2, up to date")
	check(1, "shelf: version 2, newer than the 1 of this program, which can use it")
	if state, err := tables(1).Migrate(t.Context(), pool); err != nil || state.Version != 2 {
		t.Errorf("an older program that can use the tables: %v, %v", state, err)
	}
	check(3, "shelf: version 2, to be brought to 3")
	if state, err := tables(3).Migrate(t.Context(), pool); err != nil || state.String() != "shelf: brought from version 2 to 3" {
		t.Errorf("%q, %v", state, err)
	}
	for knows := 1; knows <= 2; knows++ {
		_, err := tables(knows).Migrate(t.Context(), pool)
		if crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "shelf: its tables have version 3, for programs that know version 3") {
			t.Errorf("a program that knows %d: %v", knows, err)
		}
	}
}

// TestMigrateWithoutWord: tables of a program that left no word of who can use them, or
// died before, are used by those that know them, and the next one leaves it.
func TestMigrateWithoutWord(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Config{What: "shelf", DSN: pgtest.Database(t), Connections: 2, Statement: time.Minute, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	older := fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (n int);\n")}}
	newer := fstest.MapFS{"00001_a.sql": older["00001_a.sql"], "00002_b.sql": {Data: []byte("-- +goose Up\n-- weir: usable from 1\nCREATE TABLE b (n int);\n")}}
	if _, err := (postgres.Tables{What: "shelf", Files: newer}).Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "COMMENT ON TABLE goose_db_version IS NULL"); err != nil {
		t.Fatal(err)
	}
	if _, err := (postgres.Tables{What: "shelf", Files: older}).Check(t.Context(), pool); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("without word: %v", err)
	}
	if _, err := (postgres.Tables{What: "shelf", Files: newer}).Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := (postgres.Tables{What: "shelf", Files: older}).Check(t.Context(), pool); err != nil {
		t.Errorf("with word: %v", err)
	}
}

func TestOpenRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{What: "shelf", DSN: "postgres://[", Connections: 1})
	if crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "shelf: ") {
		t.Error(err)
	}
}

// What is wrong with an address is said without its password.
func TestBadAddresses(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:hunter2%zz@h/d", "postgres://u:hun/ter2@h/d", "postgres://u:hun ter2@h:x/d",
		"postgres://u:hunter2@h:99999999/d", "postgres://u:hunter2@h/d?sslmode=zzz", "postgres://u@h/d?password=hunter2&sslmode=zz",
		"host=h password=hunter2 port=abc",
	} {
		pool, err := postgres.Open(t.Context(), postgres.Config{What: "frontier", DSN: dsn, Connections: 2})
		if err == nil {
			pool.Close()
		}
		if crawl.KindOf(err) != crawl.Invalid || strings.Contains(fmt.Sprint(err), "ter2") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}
