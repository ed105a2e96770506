-- The copy for analysts: its tables, their rows, and who may write them.

-- name: make_calls
-- does: creates the table of calls
-- identifiers: table
-- words: text_type, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    stream {text_type} NOT NULL,
    message_id {text_type} NOT NULL,
    user_id {text_type},
    event {text_type},
    received_at {time_type},
    occurred_at {time_type},
    status {text_type} NOT NULL,
    reason {text_type},
    detail {text_type},
    http_status integer,
    attempts integer NOT NULL,
    sent_as {text_type},
    run_id {text_type} NOT NULL,
    first_seen_at {time_type} NOT NULL,
    settled_at {time_type},
    source {text_type} NOT NULL,
    PRIMARY KEY (stream, message_id) {not_enforced}
);

-- name: make_customers
-- does: creates the table of customers
-- identifiers: table
-- words: text_type, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    source_id {text_type} NOT NULL,
    referral_code {text_type},
    accepted_code {text_type},
    first_sent_at {time_type},
    last_sent_at {time_type},
    last_message_id {text_type},
    refreshed_by {text_type},
    code_carried_at {time_type},
    PRIMARY KEY (source_id) {not_enforced}
);

-- name: make_runs
-- does: creates the table of runs
-- identifiers: table, trigger
-- words: text_type, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    run_id {text_type} NOT NULL,
    :"trigger" {text_type} NOT NULL,
    status {text_type} NOT NULL,
    since_at {time_type},
    until_at {time_type},
    started_at {time_type} NOT NULL,
    finished_at {time_type},
    rows_read bigint NOT NULL,
    sent bigint NOT NULL,
    rejected bigint NOT NULL,
    failed bigint NOT NULL,
    in_doubt bigint NOT NULL,
    unchanged bigint NOT NULL,
    merged bigint NOT NULL,
    requests bigint NOT NULL,
    error {text_type},
    version {text_type} NOT NULL,
    waiting bigint NOT NULL,
    properties_wait_s bigint,
    skipped bigint NOT NULL,
    kind {text_type} NOT NULL,
    settings {text_type},
    open_periods bigint NOT NULL,
    PRIMARY KEY (run_id) {not_enforced}
);

-- name: make_watermarks
-- does: creates the table of watermarks
-- identifiers: table
-- words: text_type, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    run_id {text_type} NOT NULL,
    stream {text_type} NOT NULL,
    low_at {time_type},
    high_at {time_type},
    rows_new bigint NOT NULL,
    recorded_at {time_type} NOT NULL,
    source {text_type} NOT NULL,
    lacks_table {text_type},
    PRIMARY KEY (run_id, source, stream) {not_enforced}
);

-- name: make_published
-- does: creates the table that says whose copy this is, and how far it has come
-- identifiers: table
-- words: text_type, time_type
CREATE TABLE IF NOT EXISTS :"table" (
    publication_id {text_type} NOT NULL,
    turn bigint NOT NULL,
    version bigint NOT NULL,
    is_whole bigint NOT NULL,
    published_at {time_type}
);

-- name: drop_table
-- does: drops a table of the copy, which has other columns than it must have
-- identifiers: table
DROP TABLE IF EXISTS :"table";

-- name: drop_view
-- does: drops a view of the copy
-- identifiers: view
DROP VIEW IF EXISTS :"view";

-- name: empty_table
-- does: removes all rows of a table of the copy
-- identifiers: table
-- Some databases delete nothing without a condition.
DELETE FROM :"table" WHERE true;

-- name: read_columns
-- does: gives the columns of a table, and no row
-- identifiers: table
SELECT * FROM :"table" WHERE 1 = 0;

-- name: read_published
-- does: tells whose copy this is
-- identifiers: table
SELECT publication_id, turn FROM :"table";

-- name: claim_published
-- does: makes this the copy of a sync-state
-- identifiers: table
INSERT INTO :"table" (publication_id, turn, version, is_whole) VALUES (:publication_id, :turn, :version, 0);

-- name: take_published
-- does: lets a later publication write, and no earlier one any more
-- identifiers: table
UPDATE :"table" SET turn = :turn WHERE publication_id = :publication_id AND turn < :turn;

-- name: hold_published
-- does: keeps others from taking the copy over while a batch is written
-- identifiers: table
UPDATE :"table" SET turn = turn WHERE publication_id = :publication_id AND turn = :turn;

-- name: finish_published
-- does: says that the copy has all that the sync-state had at this time
-- identifiers: table
-- words: now
UPDATE :"table" SET is_whole = 1, published_at = {now} WHERE publication_id = :publication_id AND turn = :turn;
