-- +goose Up

-- Items that did not fit the schema of their rule, kept apart; their JSON has the
-- reason under _reason.
CREATE TABLE rejects (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  crawl INTEGER NOT NULL REFERENCES crawls,
  page  INTEGER NOT NULL REFERENCES pages,
  rule  TEXT    NOT NULL,
  idx   INTEGER NOT NULL, -- number among the rejects of its page, from 0
  json  TEXT    NOT NULL,
  UNIQUE (page, idx)
) STRICT;
CREATE INDEX rejects_by_crawl ON rejects (crawl);
