-- +goose Up

-- A crawl, and sums over its rows, kept with every commit.
CREATE TABLE crawls (
  crawl         INTEGER PRIMARY KEY,
  crawl_id      TEXT    NOT NULL UNIQUE, -- as every command shows it
  attempts      INTEGER NOT NULL DEFAULT 0,
  pages         INTEGER NOT NULL DEFAULT 0, -- attempts with a 2xx status, robots.txt left out
  items         INTEGER NOT NULL DEFAULT 0,
  archive_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The WARC files. What a file has beyond size was never committed.
CREATE TABLE segments (
  segment   INTEGER PRIMARY KEY,
  file      TEXT    NOT NULL UNIQUE, -- name in the folder warc/
  size      INTEGER NOT NULL,
  opened_at TEXT    NOT NULL,
  sealed    INTEGER NOT NULL DEFAULT 0 -- 1: nothing is appended any more
) STRICT;

-- The crawl log: one row for each attempt at a URL, in the order of commits.
CREATE TABLE pages (
  id             INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: the cursor of readers
  crawl          INTEGER NOT NULL REFERENCES crawls,
  url_key        BLOB    NOT NULL, -- first 12 bytes of the SHA-256 of url
  generation     INTEGER NOT NULL, -- scheduled visits of the URL, from 1
  attempt        INTEGER NOT NULL, -- attempts at the URL, from 1
  kind           INTEGER NOT NULL, -- 1 page, 2 robots.txt
  url            TEXT    NOT NULL,
  depth          INTEGER NOT NULL,
  fetched_at     TEXT    NOT NULL, -- UTC, RFC 3339
  duration_us    INTEGER NOT NULL,
  status         INTEGER NOT NULL, -- 0: no response
  error          TEXT    NOT NULL, -- '': none
  error_detail   TEXT    NOT NULL,
  content_type   TEXT    NOT NULL,
  title          TEXT    NOT NULL,
  size           INTEGER NOT NULL, -- bytes of the body
  sha256         BLOB,             -- of the body
  redirect_url   TEXT    NOT NULL,
  truncated      INTEGER NOT NULL,
  outlinks       INTEGER NOT NULL,
  items          INTEGER NOT NULL,
  rejected_items INTEGER NOT NULL,
  warning        TEXT    NOT NULL, -- what went wrong while the page was read
  segment        INTEGER REFERENCES segments, -- NULL: nothing in the archive
  warc_offset    INTEGER NOT NULL,
  warc_length    INTEGER NOT NULL, -- of the response record, compressed
  UNIQUE (crawl, url_key, generation, attempt, kind)
) STRICT;
CREATE INDEX pages_by_crawl ON pages (crawl);

-- What the rules extracted, in the order of commits.
CREATE TABLE items (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  crawl INTEGER NOT NULL REFERENCES crawls,
  page  INTEGER NOT NULL REFERENCES pages,
  rule  TEXT    NOT NULL,
  idx   INTEGER NOT NULL, -- number among the items of its rule and page, from 0
  json  TEXT    NOT NULL,
  -- A page row is unique for crawl, URL, generation, attempt and kind, so that
  -- this is too; and it grows at its end, where the long key would be spread.
  UNIQUE (page, rule, idx)
) STRICT;
CREATE INDEX items_by_crawl ON items (crawl);

-- For people: the newest attempt at each URL, everything spelt out.
CREATE VIEW newest_pages AS
SELECT c.crawl_id, p.url, p.status, p.error, p.error_detail, p.title, p.content_type, p.size,
       p.depth, p.attempt, p.fetched_at, p.duration_us, lower(hex(p.sha256)) AS sha256,
       p.redirect_url, p.truncated, p.outlinks, p.items, p.rejected_items, p.warning,
       s.file AS warc_file, p.warc_offset, p.warc_length, p.id
FROM pages p
JOIN crawls c ON c.crawl = p.crawl
LEFT JOIN segments s ON s.segment = p.segment
WHERE p.kind = 1 AND NOT EXISTS (
  SELECT 1 FROM pages q
  WHERE q.crawl = p.crawl AND q.url_key = p.url_key AND q.kind = p.kind
    AND (q.generation, q.attempt) > (p.generation, p.attempt));

-- For people: items with their crawl and URL.
CREATE VIEW item_list AS
SELECT c.crawl_id, p.url, i.rule, i.idx, p.fetched_at, i.json, i.id
FROM items i
JOIN pages p ON p.id = i.page
JOIN crawls c ON c.crawl = i.crawl;
