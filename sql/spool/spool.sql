-- Values put aside in a private temporary database, which is SQLite's whatever the warehouse is.

-- name: create_spool
-- does: makes the table of values
-- dialect: sqlite
CREATE TABLE kept (at integer NOT NULL, name blob NOT NULL, content blob NOT NULL);

-- name: put_aside
-- does: adds a value
-- dialect: sqlite
INSERT INTO kept (at, name, content) VALUES (?, ?, ?);

-- name: cut_spool
-- does: removes the values that were added last
-- dialect: sqlite
DELETE FROM kept WHERE rowid > ?;

-- name: sort_spool
-- does: sorts the keys alone: values may be large
-- dialect: sqlite
CREATE INDEX kept_in_order ON kept (at, name);

-- name: read_spool
-- does: gives the values in order, equal keys as they came
-- dialect: sqlite
SELECT content FROM kept INDEXED BY kept_in_order ORDER BY at, name, rowid;
