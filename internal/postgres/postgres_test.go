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

// TestMigrate: several processes bring one database to the newest version, and one that
// knows only an older version says so.
func TestMigrate(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Config{What: "shelf", DSN: pgtest.Database(t), Connections: 8, Statement: time.Minute, Idle: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	older := fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (n int);\n")}}
	newer := fstest.MapFS{"00001_a.sql": older["00001_a.sql"], "00002_b.sql": {Data: []byte("-- +goose Up\nINSERT INTO a VALUES (1);\n")}}
	done := make(chan error)
	for range 3 {
		go func() { done <- postgres.Migrate(t.Context(), pool, "shelf", newer, "shelf_version") }()
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
	err = postgres.Migrate(t.Context(), pool, "shelf", older, "shelf_version")
	if crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "shelf: its tables have version 2, this program knows 1") {
		t.Error(err)
	}
}

func TestOpenRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{What: "shelf", DSN: "postgres://[", Connections: 1})
	if crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "shelf: ") {
		t.Error(err)
	}
}
