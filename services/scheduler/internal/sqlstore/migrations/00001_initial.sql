-- +goose Up

-- part is the partition everywhere, crawl a crawl's number, host the hash of an
-- origin, key the hash of a URL. Numbers that are 64 bits without a sign are kept
-- with their highest bit turned, so that they sort as what they are. body is the row
-- in the encoding of package rows, the same as in Pebble: the first byte of a URL's
-- is its state.

-- Facts of the store: partitions, and the last numbers given to runs and crawls.
CREATE TABLE fact (
  name  text   PRIMARY KEY,
  value bigint NOT NULL
);

-- A run of a scheduler, and how many batches it wrote: who does not know whether
-- its transaction was committed reads it here.
CREATE TABLE run (
  id      int    PRIMARY KEY,
  applied bigint NOT NULL
) WITH (fillfactor = 50);

-- Each transaction checks the epochs of the partitions that it writes.
CREATE TABLE part (
  id    int    PRIMARY KEY,
  epoch bigint NOT NULL,
  seq   bigint NOT NULL -- lower bound of sequence numbers
) WITH (fillfactor = 50);

CREATE TABLE crawl (
  crawl   int    PRIMARY KEY,
  id      text   NOT NULL, -- as every command shows it
  home    int    NOT NULL,
  granted bigint NOT NULL DEFAULT 0, -- the sum of quotas
  body    bytea  NOT NULL
);

-- The crawl that a request made, so that the same request makes no second one.
CREATE TABLE request (
  request text PRIMARY KEY,
  crawl   int  NOT NULL,
  id      text NOT NULL
);

-- Counters of a crawl in a partition; an empty body is zeros.
CREATE TABLE stats (
  crawl int    NOT NULL,
  part  int    NOT NULL,
  quota bigint NOT NULL DEFAULT 0, -- pages of the crawl's limit
  body  bytea  NOT NULL,
  PRIMARY KEY (crawl, part)
) WITH (fillfactor = 50);
CREATE INDEX stats_part ON stats (part);

-- Everything that was ever discovered. One table, not one for each partition:
-- CockroachDB knows no partitioning by hash, and each child would cost every
-- statement its planning and opening. The primary key keeps a host's URLs together.
CREATE TABLE url (
  part  int    NOT NULL,
  crawl int    NOT NULL,
  host  bigint NOT NULL,
  key   bytea  NOT NULL,
  body  bytea  NOT NULL,
  PRIMARY KEY (part, crawl, host, key)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- What is to be visited, in order, leased URLs included. The text of a URL is here
-- as long as it is queued, and in url after.
CREATE TABLE queue (
  part     int    NOT NULL,
  crawl    int    NOT NULL,
  host     bigint NOT NULL,
  priority int    NOT NULL,
  seq      bigint NOT NULL,
  body     bytea  NOT NULL,
  PRIMARY KEY (part, crawl, host, priority, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Delayed URLs; at is milliseconds since 1970.
CREATE TABLE due (
  part  int    NOT NULL,
  at    bigint NOT NULL,
  crawl int    NOT NULL,
  host  bigint NOT NULL,
  key   bytea  NOT NULL,
  PRIMARY KEY (part, at, crawl, host, key)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Counters of a host in a crawl. The index has those with work, which a new owner
-- reads; work changes seldom, so that most updates touch no index.
CREATE TABLE ready (
  part  int     NOT NULL,
  crawl int     NOT NULL,
  host  bigint  NOT NULL,
  work  boolean NOT NULL,
  body  bytea   NOT NULL,
  PRIMARY KEY (part, crawl, host)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX ready_work ON ready (part) WHERE work;

-- Politeness of a host, whatever the crawl.
CREATE TABLE host (
  part int    NOT NULL,
  host bigint NOT NULL,
  body bytea  NOT NULL,
  PRIMARY KEY (part, host)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Texts of robots.txt.
CREATE TABLE robots (
  part int    NOT NULL,
  host bigint NOT NULL,
  body bytea  NOT NULL,
  PRIMARY KEY (part, host)
);

CREATE TABLE lease (
  part   int     NOT NULL,
  id     bigint  NOT NULL,
  crawl  int     NOT NULL,
  counts boolean NOT NULL, -- it is for a URL that is in the queue
  body   bytea   NOT NULL,
  PRIMARY KEY (part, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Links that partitions of other owners have not confirmed.
CREATE TABLE outbox (
  part  int    NOT NULL,
  seq   bigint NOT NULL,
  crawl int    NOT NULL,
  links int    NOT NULL,
  body  bytea  NOT NULL,
  PRIMARY KEY (part, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
