-- +goose Up

-- Cookies of a crawl and site; site is the hash of its name.
CREATE TABLE jar (
  part  int    NOT NULL,
  crawl int    NOT NULL,
  site  bigint NOT NULL,
  body  bytea  NOT NULL,
  PRIMARY KEY (part, crawl, site)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
