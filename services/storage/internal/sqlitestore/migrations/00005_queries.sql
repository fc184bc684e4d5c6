-- +goose Up

ALTER TABLE pages ADD COLUMN via TEXT NOT NULL DEFAULT ''; -- URL of the page that redirected here
ALTER TABLE pages ADD COLUMN rendered INTEGER NOT NULL DEFAULT 0; -- 1: as a browser had it
ALTER TABLE pages ADD COLUMN language TEXT NOT NULL DEFAULT '';
-- Of the items that hold for the page, by which a later visit finds them unchanged; 0: not known.
ALTER TABLE pages ADD COLUMN items_digest INTEGER NOT NULL DEFAULT 0;
-- The first page of the crawl with the same content under another URL, and one whose text
-- differs in little: rows of pages; 0: none.
ALTER TABLE pages ADD COLUMN duplicate_of INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pages ADD COLUMN near_of INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pages ADD COLUMN simhash INTEGER NOT NULL DEFAULT 0; -- of the text; 0: none

-- 1: deleted, its rows go bit by bit; crawl_id has its number in front then.
ALTER TABLE crawls ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

-- How many pages are in a WARC file: when none is left, the file may go.
ALTER TABLE segments ADD COLUMN records INTEGER NOT NULL DEFAULT 0;
UPDATE segments SET records = (SELECT count(*) FROM pages WHERE pages.segment = segments.segment);

-- The first page with a content, by the beginning of its digest.
CREATE TABLE contents (
  crawl  INTEGER NOT NULL,
  digest BLOB    NOT NULL,
  page   INTEGER NOT NULL,
  PRIMARY KEY (crawl, digest)
) STRICT, WITHOUT ROWID;

-- Pages by each quarter of the SimHash of their text: two that differ in at most three
-- bits have a quarter in common.
CREATE TABLE near (
  crawl   INTEGER NOT NULL,
  quarter INTEGER NOT NULL, -- its number in the upper bits, its value in the lower 16
  page    INTEGER NOT NULL,
  simhash INTEGER NOT NULL,
  PRIMARY KEY (crawl, quarter, page)
) STRICT, WITHOUT ROWID;

-- Further sums of a crawl: attempts by status and error, items by rule, others.
CREATE TABLE counts (
  crawl INTEGER NOT NULL,
  kind  TEXT    NOT NULL, -- status, error, rule, sum
  name  TEXT    NOT NULL,
  n     INTEGER NOT NULL,
  PRIMARY KEY (crawl, kind, name)
) STRICT, WITHOUT ROWID;
INSERT INTO counts SELECT crawl, 'status', CAST(status AS TEXT), count(*) FROM pages WHERE status > 0 GROUP BY 1, 3;
INSERT INTO counts SELECT crawl, 'error', error, count(*) FROM pages WHERE error <> '' GROUP BY 1, 3;
INSERT INTO counts SELECT crawl, 'rule', rule, count(*) FROM items GROUP BY 1, 3;
INSERT INTO counts SELECT crawl, 'sum', 'rejects', count(*) FROM rejects GROUP BY 1;

CREATE INDEX media_by_crawl ON pages (crawl, id) WHERE kind = 3;
CREATE INDEX media_by_digest ON pages (crawl, sha256) WHERE kind = 3;

-- For people: the files that items refer to.
CREATE VIEW media AS
SELECT c.crawl_id, p.url, lower(hex(p.sha256)) AS sha256, p.size, p.content_type, p.fetched_at,
       s.file AS warc_file, p.warc_offset, p.warc_length, p.id
FROM pages p
JOIN crawls c ON c.crawl = p.crawl
LEFT JOIN segments s ON s.segment = p.segment
WHERE p.kind = 3 AND p.error = '' AND p.status BETWEEN 200 AND 299;
