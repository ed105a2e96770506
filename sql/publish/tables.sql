-- The copy for analysts: its tables, their rows, and who may write them.

-- name: make_calls
-- does: creates the table of calls
-- identifiers: table
-- words: integer_type, kept_text, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    stream {kept_text} NOT NULL,
    message_id {kept_text} NOT NULL,
    user_id {kept_text},
    event {kept_text},
    received_at {time_type},
    occurred_at {time_type},
    status {kept_text} NOT NULL,
    reason {kept_text},
    detail {kept_text},
    http_status {integer_type},
    attempts {integer_type} NOT NULL,
    sent_as {kept_text},
    run_id {kept_text} NOT NULL,
    first_seen_at {time_type} NOT NULL,
    settled_at {time_type},
    source {kept_text} NOT NULL,
    PRIMARY KEY (stream, message_id) {not_enforced}
);

-- name: make_customers
-- does: creates the table of customers
-- identifiers: table
-- words: kept_text, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    source_id {kept_text} NOT NULL,
    referral_code {kept_text},
    accepted_code {kept_text},
    first_sent_at {time_type},
    last_sent_at {time_type},
    last_message_id {kept_text},
    refreshed_by {kept_text},
    code_carried_at {time_type},
    PRIMARY KEY (source_id) {not_enforced}
);

-- name: make_runs
-- does: creates the table of runs
-- identifiers: table, trigger
-- words: bigint_type, kept_text, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    run_id {kept_text} NOT NULL,
    :"trigger" {kept_text} NOT NULL,
    status {kept_text} NOT NULL,
    since_at {time_type},
    until_at {time_type},
    started_at {time_type} NOT NULL,
    finished_at {time_type},
    rows_read {bigint_type} NOT NULL,
    sent {bigint_type} NOT NULL,
    rejected {bigint_type} NOT NULL,
    failed {bigint_type} NOT NULL,
    in_doubt {bigint_type} NOT NULL,
    unchanged {bigint_type} NOT NULL,
    merged {bigint_type} NOT NULL,
    requests {bigint_type} NOT NULL,
    error {kept_text},
    version {kept_text} NOT NULL,
    waiting {bigint_type} NOT NULL,
    properties_wait_s {bigint_type},
    skipped {bigint_type} NOT NULL,
    kind {kept_text} NOT NULL,
    settings {kept_text},
    open_periods {bigint_type} NOT NULL,
    PRIMARY KEY (run_id) {not_enforced}
);

-- name: make_watermarks
-- does: creates the table of watermarks
-- identifiers: table
-- words: bigint_type, kept_text, time_type, not_enforced
CREATE TABLE IF NOT EXISTS :"table" (
    run_id {kept_text} NOT NULL,
    stream {kept_text} NOT NULL,
    low_at {time_type},
    high_at {time_type},
    rows_new {bigint_type} NOT NULL,
    recorded_at {time_type} NOT NULL,
    source {kept_text} NOT NULL,
    lacks_table {kept_text},
    PRIMARY KEY (run_id, source, stream) {not_enforced}
);

-- name: make_published
-- does: creates the table that says whose copy this is, and how far it has come
-- identifiers: table
-- words: bigint_type, kept_text, time_type
CREATE TABLE IF NOT EXISTS :"table" (
    publication_id {kept_text} NOT NULL,
    turn {bigint_type} NOT NULL,
    version {bigint_type} NOT NULL,
    is_whole {bigint_type} NOT NULL,
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
INSERT INTO :"table" (publication_id, turn, version, is_whole, published_at) VALUES (:publication_id, :turn, :version, 0, NULL);

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
