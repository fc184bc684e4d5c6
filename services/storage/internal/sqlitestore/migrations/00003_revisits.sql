-- +goose Up

-- The attempt whose body this one found unchanged (304, or the same digest): a row
-- of pages; 0: the attempt has its own. The title and the facts of the body are
-- copied from it.
ALTER TABLE pages ADD COLUMN revisit INTEGER NOT NULL DEFAULT 0;
-- Id of the response record where it does not follow from the key; NULL: it does.
ALTER TABLE pages ADD COLUMN warc_id BLOB;
