package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/postgres"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// errStale says that a crawl was deleted after its number was looked up.
var errStale = errors.New("a crawl was deleted meanwhile")

// Commit stores a batch in one transaction; it is durable on return.
func (s *Store) Commit(ctx context.Context, b *catalogue.Batch) error {
	if len(b.Pages) > catalogue.MaxBatch {
		return fmt.Errorf("catalogue: a batch of %d pages is more than %d", len(b.Pages), catalogue.MaxBatch)
	}
	if s.unsettled != nil {
		return s.unsettled
	}
	if len(b.Pages) == 0 {
		return nil
	}
	doing := fmt.Sprintf("commit %d attempts", len(b.Pages))
	err := s.commit(ctx, b)
	if errors.Is(err, errStale) {
		s.forget()
		err = s.commit(ctx, b) // what still comes of the crawl is kept as if of a new one
	}
	if errors.Is(err, errStale) {
		err = crawl.Errorf(crawl.Unavailable, "catalogue: %w", err)
	}
	return wrap(doing, err)
}

// commit writes a batch. When the connection breaks it finds out what became of the
// transaction: the caller will take back what it wrote to the archive, which must not
// happen to a batch that is committed after all.
func (s *Store) commit(ctx context.Context, b *catalogue.Batch) error {
	w := &writer{s: s, b: b, crawls: map[int32]*share{}, records: map[int64]int64{}}
	if err := w.number(ctx); err != nil {
		return err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	err = w.transaction(ctx)
	conn.Release() // the pool closes one that is broken or still in a transaction
	if err == nil || !lost(err) {
		return err
	}
	done, serr := s.settled(ctx, w.first)
	if serr != nil {
		s.unsettled = crawl.Errorf(crawl.Unavailable, "catalogue: the connection broke in the middle of a commit, and what became of it was not found out: %w", errors.Join(err, serr))
		return s.unsettled
	}
	if done {
		return nil
	}
	return err
}

// lost reports whether an error leaves open what the server did.
func lost(err error) bool {
	if _, ours := errors.AsType[*crawl.Error](err); ours || errors.Is(err, errStale) {
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || pg.Code[:2] == "57" // the server is going down
}

// settled waits until no transaction of this storage is under way, however long that
// takes, and tells whether the one with a page was committed.
func (s *Store) settled(ctx context.Context, page uint64) (done bool, err error) {
	for pause := postgres.FirstPause; ; pause = min(2*pause, postgres.MaxPause) {
		if err = s.fence(ctx); err == nil {
			err = s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pages WHERE id = $1)", int64(page)).Scan(&done)
		}
		if err == nil {
			return done, nil
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(pause):
		}
	}
}

// fence returns when no transaction of this storage, or of a process that was it
// before, is under way.
func (s *Store) fence(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, "BEGIN; "+s.lock+"; COMMIT")
	return err
}

// transaction writes the batch between BEGIN and COMMIT.
func (w *writer) transaction(ctx context.Context) error {
	// The lock is this storage's own, for fence.
	if _, err := w.conn.Exec(ctx, "BEGIN; "+w.s.lock); err != nil {
		return err
	}
	err := w.write(ctx)
	if err != nil && !lost(err) {
		_, _ = w.conn.Exec(ctx, "ROLLBACK") // the error that matters is the first one
	}
	return err
}

// share is the part of a batch that is of one crawl.
type share struct {
	number  int32
	first   uint64 // id of its first page
	pages   int
	items   int
	rejects int
	*catalogue.Growth
}

// writer writes one batch.
type writer struct {
	s    *Store
	b    *catalogue.Batch
	conn *pgxpool.Conn

	first   uint64 // id of the first page
	numbers []int32
	crawls  map[int32]*share
	shares  []*share        // in the order of their numbers
	records map[int64]int64 // how many more pages are in a segment
}

// number sorts the pages by their crawls, those of a crawl in the order that they had,
// and gives all their numbers.
func (w *writer) number(ctx context.Context) error {
	numbers := map[string]int32{}
	for _, p := range w.b.Pages {
		if _, ok := numbers[p.Crawl]; ok {
			continue
		}
		n, err := w.s.numberOf(ctx, p.Crawl)
		if err != nil {
			return err
		}
		numbers[p.Crawl] = n
	}
	slices.SortStableFunc(w.b.Pages, func(a, b *catalogue.Page) int { return cmp.Compare(numbers[a.Crawl], numbers[b.Crawl]) })
	batch, err := w.s.nextBatch(ctx)
	if err != nil {
		return err
	}
	w.first = batch << 16
	for i, p := range w.b.Pages {
		p.ID = w.first + uint64(i)
		if len(p.Content) > 0 {
			p.DuplicateOf, p.NearOf = 0, 0
		}
		n := numbers[p.Crawl]
		c := w.crawls[n]
		if c == nil {
			c = &share{number: n, first: p.ID, Growth: catalogue.NewGrowth()}
			c.ArchiveBytes = w.b.ArchiveBytes[p.Crawl]
			w.crawls[n] = c
			w.shares = append(w.shares, c)
		}
		c.pages++
		w.numbers = append(w.numbers, n)
	}
	return nil
}

// batchesAtOnce is the increment of the sequence.
const batchesAtOnce = 1000

// nextBatch returns a number that no other batch has or had.
func (s *Store) nextBatch(ctx context.Context) (uint64, error) {
	if s.batch == s.batches {
		if err := s.pool.QueryRow(ctx, "SELECT nextval('batches')").Scan(&s.batch); err != nil {
			return 0, err
		}
		s.batches = s.batch + batchesAtOnce
	}
	s.batch++
	return s.batch - 1, nil
}

// write does it. What takes time comes first; finish takes the locks that others wait
// for, and is one step of the server.
func (w *writer) write(ctx context.Context) error {
	if err := w.replace(ctx); err != nil {
		return err
	}
	if err := w.compare(ctx); err != nil {
		return err
	}
	w.encode()
	if err := w.copy(ctx); err != nil {
		return err
	}
	if err := w.supersede(ctx); err != nil {
		return err
	}
	return w.finish(ctx)
}

// copy sends the rows.
func (w *writer) copy(ctx context.Context) error {
	r := &w.s.rows
	for _, t := range []struct {
		name, columns string
		data          *copyData
	}{{"pages", pageColumns, &r.pages}, {"items", itemColumns, &r.items}, {"rejects", itemColumns, &r.rejects}} {
		if t.data.rows == 0 {
			continue
		}
		if _, err := w.conn.Conn().PgConn().CopyFrom(ctx, t.data.reader(), "COPY "+t.name+" ("+t.columns+") FROM STDIN (FORMAT binary)"); err != nil {
			t.data.buf = nil // the driver may go on reading it for a while
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
	}
	return nil
}

// encode makes the rows and counts them.
func (w *writer) encode() {
	r := &w.s.rows
	r.pages.reset()
	r.items.reset()
	r.rejects.reset()
	for i, p := range w.b.Pages {
		c := w.crawls[w.numbers[i]]
		r.pages.page(p, c.number)
		for k := range p.Items {
			r.items.item(p.ID, c.items, int(p.Items[k].Index), &p.Items[k])
			c.items++
		}
		for k := range p.Rejects {
			r.rejects.item(p.ID, c.rejects, k, &p.Rejects[k])
			c.rejects++
		}
		c.Add(p)
		if p.Place.Segment != 0 {
			w.records[p.Place.Segment]++
		}
	}
}

// visits are keys of attempts as arrays.
type visits struct {
	at                    []int32 // where the page is in the batch, or the key in a question
	keys                  [][16]byte
	generations, attempts []int32
	kinds                 []int16
}

func (v *visits) add(i int, number int32, k *catalogue.Key) {
	v.at = append(v.at, int32(i))
	v.keys = append(v.keys, uuidOf(number, k.URL[:]))
	v.generations, v.attempts = append(v.generations, int32(k.Generation)), append(v.attempts, int32(k.Attempt))
	v.kinds = append(v.kinds, int16(k.Kind))
}

const unnestVisits = "unnest($1::int[], $2::uuid[], $3::int[], $4::int[], $5::smallint[]) AS v(at, key, generation, attempt, kind) "

func (v *visits) query(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, sql string) (pgx.Rows, error) {
	return db.Query(ctx, sql, v.at, v.keys, v.generations, v.attempts, v.kinds)
}

// chosen are the pages of the batch that f takes.
func (w *writer) chosen(f func(*catalogue.Page) bool) *visits {
	v := &visits{}
	for i, p := range w.b.Pages {
		if f(p) {
			v.add(i, w.numbers[i], &p.Key)
		}
	}
	return v
}

// replace deletes the failed attempts whose place others take.
func (w *writer) replace(ctx context.Context) error {
	v := w.chosen(func(p *catalogue.Page) bool { return p.Replaces })
	if len(v.at) == 0 {
		return nil
	}
	rows, err := v.query(ctx, w.conn, "DELETE FROM pages AS p USING "+unnestVisits+
		"WHERE p.key = v.key AND p.generation = v.generation AND p.attempt = v.attempt AND p.kind = v.kind AND p.error <> '' "+
		"RETURNING v.at, p.status, p.error, p.segment")
	if err != nil {
		return err
	}
	var at int32
	var status uint32
	var class string
	var segment int64
	_, err = pgx.ForEachRow(rows, []any{&at, &status, &class, &segment}, func() error {
		w.crawls[w.numbers[at]].Replaced(status, catalogue.ClassNamed(class))
		w.records[segment]--
		return nil
	})
	return err
}

// supersede deletes the items of the visits before those of the batch, whose own are
// written by now: of two visits in one batch the later one stays.
func (w *writer) supersede(ctx context.Context) error {
	v := w.chosen(func(p *catalogue.Page) bool { return p.Supersedes })
	if len(v.at) == 0 {
		return nil
	}
	// A reading of an earlier visit that is being written is waited for: it holds the
	// visit's row.
	const earlier = "JOIN pages p ON p.key = v.key AND p.kind = v.kind AND (p.generation, p.attempt) < (v.generation, v.attempt) "
	if err := v.lock(ctx, w.conn, earlier); err != nil {
		return err
	}
	return w.unsay(ctx, v, "JOIN pages p ON p.key = v.key AND (p.kind = v.kind OR p.kind = 4 AND v.kind = 1) AND (p.generation, p.attempt) < (v.generation, v.attempt) ")
}

// unsay deletes the items of the pages that a join finds for visits.
func (w *writer) unsay(ctx context.Context, v *visits, join string) error {
	for _, table := range []string{"items", "rejects"} {
		rows, err := v.query(ctx, w.conn, "WITH gone AS (DELETE FROM "+table+" AS i USING "+unnestVisits+join+
			"WHERE i.page = p.id RETURNING v.at, i.rule) SELECT at, rule, count(*) FROM gone GROUP BY at, rule")
		if err != nil {
			return err
		}
		var at int32
		var rule string
		var n int64
		if _, err = pgx.ForEachRow(rows, []any{&at, &rule, &n}, func() error {
			if c := w.crawls[w.numbers[at]]; table == "items" {
				c.Superseded(rule, n)
			} else {
				c.SupersededRejects(n)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
