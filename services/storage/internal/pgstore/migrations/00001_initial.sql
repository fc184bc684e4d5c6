-- +goose Up

-- Numbers that are 64 bits without a sign are kept with the same bits. A page has a
-- number in which the batch that it came in is the upper part, and its place in the
-- batch the lower 16 bits; the numbers say nothing about the order of commits.

-- The last cursor that was given out. Every commit takes its cursors here at its very
-- end and holds the row until it is committed: cursors grow in the order of commits.
CREATE TABLE clock (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  last bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO clock (last) VALUES (0);

-- Numbers of batches, given to each storage by the thousand.
CREATE SEQUENCE batches INCREMENT BY 1000;

-- A crawl, and sums over its rows, kept with every commit.
CREATE TABLE crawls (
  crawl         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  crawl_id      text    NOT NULL UNIQUE, -- as every command shows it; with its number in front when deleted
  attempts      bigint  NOT NULL DEFAULT 0,
  pages         bigint  NOT NULL DEFAULT 0, -- attempts with a 2xx status, robots.txt left out
  items         bigint  NOT NULL DEFAULT 0,
  archive_bytes bigint  NOT NULL DEFAULT 0,
  deleted       boolean NOT NULL DEFAULT false -- its rows go bit by bit
) WITH (fillfactor = 50);

-- Further sums: attempts by status and error, items by rule, others.
CREATE TABLE counts (
  crawl integer NOT NULL,
  kind  text    NOT NULL, -- status, error, rule, sum
  name  text    NOT NULL,
  n     bigint  NOT NULL,
  PRIMARY KEY (crawl, kind, name)
) WITH (fillfactor = 50);

-- What a batch brought to a crawl: page k of it, from 0, has the number first_page + k
-- and the cursor base + k + 1; item k the cursor base + k + 1 among items.
CREATE TABLE commits (
  crawl      integer NOT NULL,
  base       bigint  NOT NULL,
  first_page bigint  NOT NULL,
  pages      integer NOT NULL,
  items      integer NOT NULL,
  rejects    integer NOT NULL,
  PRIMARY KEY (crawl, base)
);
CREATE INDEX commits_by_page ON commits (crawl, first_page);

-- The WARC files. What a file has beyond size was never committed.
CREATE TABLE segments (
  segment   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner     text        NOT NULL, -- the storage that writes it
  file      text        NOT NULL UNIQUE,
  size      bigint      NOT NULL,
  opened_at timestamptz NOT NULL,
  sealed    boolean     NOT NULL DEFAULT false, -- nothing is appended any more
  records   bigint      NOT NULL DEFAULT 0 -- pages that are in it
) WITH (fillfactor = 50);
CREATE INDEX segments_by_owner ON segments (owner);

-- The crawl log: one row for each attempt at a URL. The key has the crawl in its first
-- 4 bytes and the first 12 bytes of the URL's SHA-256 behind: what a running crawl
-- inserts goes to its own part of the index.
CREATE TABLE pages (
  id             bigint      PRIMARY KEY,
  lease          bigint      NOT NULL,
  size           bigint      NOT NULL, -- bytes of the body
  duration_us    bigint      NOT NULL,
  fetched_at     timestamptz NOT NULL,
  segment        bigint      NOT NULL, -- 0: nothing in the archive
  warc_offset    bigint      NOT NULL,
  warc_length    bigint      NOT NULL,
  revisit        bigint      NOT NULL, -- the page that has the body, as it did not change; 0: none
  duplicate_of   bigint      NOT NULL, -- the first page with the same content under another URL; 0: none
  near_of        bigint      NOT NULL, -- one whose text differs in little; 0: none
  simhash        bigint      NOT NULL, -- of the text; 0: none
  items_digest   bigint      NOT NULL,
  generation     integer     NOT NULL, -- scheduled visits of the URL, from 1
  attempt        integer     NOT NULL, -- attempts at the URL, from 1
  depth          integer     NOT NULL,
  outlinks       integer     NOT NULL,
  items          integer     NOT NULL,
  rejected_items integer     NOT NULL,
  kind           smallint    NOT NULL, -- 1 page, 2 robots.txt, 3 media
  status         smallint    NOT NULL, -- 0: no response
  truncated      boolean     NOT NULL,
  rendered       boolean     NOT NULL,
  key            uuid        NOT NULL,
  url            text        NOT NULL,
  via            text        NOT NULL, -- URL of the page that redirected here
  error          text        NOT NULL, -- '': none
  error_detail   text        NOT NULL,
  content_type   text        NOT NULL,
  title          text        NOT NULL,
  language       text        NOT NULL,
  redirect_url   text        NOT NULL,
  warning        text        NOT NULL, -- what went wrong while the page was read
  sha256         bytea,                -- of the body
  warc_id        bytea,                -- of the response record, where it does not follow from the key
  UNIQUE (key, generation, attempt, kind)
);
CREATE INDEX media_by_page ON pages (id) WHERE kind = 3;
CREATE INDEX media_by_digest ON pages (sha256) WHERE kind = 3;

-- What the rules extracted, n counting those of a crawl in a batch.
CREATE TABLE items (
  page bigint  NOT NULL,
  n    integer NOT NULL,
  idx  integer NOT NULL, -- number among the items of its rule and page, from 0
  rule text    NOT NULL,
  json text    NOT NULL,
  PRIMARY KEY (page, n)
);

-- Items that did not fit the schema of their rule; their JSON has why under _reason.
CREATE TABLE rejects (
  page bigint  NOT NULL,
  n    integer NOT NULL,
  idx  integer NOT NULL,
  rule text    NOT NULL,
  json text    NOT NULL,
  PRIMARY KEY (page, n)
);

-- The first page with a content: the crawl and the beginning of the digest, as in key.
CREATE TABLE contents (
  key  uuid   PRIMARY KEY,
  page bigint NOT NULL
);

-- Pages by each quarter of the SimHash of their text: two that differ in at most three
-- bits have a quarter in common.
CREATE TABLE near (
  crawl   integer NOT NULL,
  quarter integer NOT NULL, -- its number in the upper bits, its value in the lower 16
  page    bigint  NOT NULL,
  simhash bigint  NOT NULL,
  PRIMARY KEY (crawl, quarter, page)
);

-- For people: the crawl of a page.
-- +goose StatementBegin
CREATE FUNCTION crawl_of(key uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT ('x' || left(key::text, 8))::bit(32)::integer $$;
-- +goose StatementEnd

-- For people: the newest attempt at each URL, everything spelt out.
CREATE VIEW newest_pages AS
SELECT c.crawl_id, p.url, p.status, p.error, p.error_detail, p.title, p.content_type, p.language, p.size,
       p.depth, p.attempt, p.fetched_at, p.duration_us, encode(p.sha256, 'hex') AS sha256, p.via,
       p.redirect_url, p.truncated, p.rendered, p.outlinks, p.items, p.rejected_items, p.warning,
       d.url AS duplicate_of, s.file AS warc_file, p.warc_offset, p.warc_length, p.id
FROM pages p
JOIN crawls c ON c.crawl = crawl_of(p.key) AND NOT c.deleted
LEFT JOIN segments s ON s.segment = p.segment
LEFT JOIN pages d ON d.id = p.duplicate_of
WHERE p.kind = 1 AND NOT EXISTS (
  SELECT 1 FROM pages q
  WHERE q.key = p.key AND q.kind = p.kind AND (q.generation, q.attempt) > (p.generation, p.attempt));

-- For people: items with their crawl and URL.
CREATE VIEW item_list AS
SELECT c.crawl_id, p.url, i.rule, i.idx, p.fetched_at, i.json::json AS json, i.page, i.n
FROM items i
JOIN pages p ON p.id = i.page
JOIN crawls c ON c.crawl = crawl_of(p.key) AND NOT c.deleted;

-- For people: the files that items refer to.
CREATE VIEW media AS
SELECT c.crawl_id, p.url, encode(p.sha256, 'hex') AS sha256, p.size, p.content_type, p.fetched_at,
       s.file AS warc_file, p.warc_offset, p.warc_length, p.id
FROM pages p
JOIN crawls c ON c.crawl = crawl_of(p.key) AND NOT c.deleted
LEFT JOIN segments s ON s.segment = p.segment
WHERE p.kind = 3 AND p.error = '' AND p.status BETWEEN 200 AND 299;
