-- +goose Up

-- Revision of the spec that the items of the page were made by; 0: not known. A row of
-- kind 4 is no attempt: it has the items of a later reading of the visit with its key.
ALTER TABLE pages ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
