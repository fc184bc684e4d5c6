-- +goose Up

-- The lease that a visit was made under, as logs and explain name it; 0: not known.
ALTER TABLE pages ADD COLUMN lease INTEGER NOT NULL DEFAULT 0;
