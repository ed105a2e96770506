-- What is written under the lease: batches of marks, outcomes and customers.

-- name: batch_view
-- does: creates the view that a batch is inserted into on SQLite; `batch_trigger` writes it
-- dialect: sqlite
CREATE TEMP VIEW sync_batch AS
SELECT NULL AS name, NULL AS owner, NULL AS fence, NULL AS ttl_s, NULL AS run_id, NULL AS reopens, NULL AS strict,
    NULL AS updates, NULL AS inserts, NULL AS marks, NULL AS customers;

-- name: batch_trigger
-- does: writes a batch as `write_batch` says; fails as a whole when the lease is lost or, if strict, when a row cannot be updated or marked
-- dialect: sqlite
-- words: now, clock_plus
CREATE TEMP TRIGGER sync_batch_written INSTEAD OF INSERT ON sync_batch
BEGIN
    UPDATE sync_lease SET expires_at = {clock_plus: NEW.ttl_s}
    WHERE name = NEW.name AND owner = NEW.owner AND fence = NEW.fence;
    SELECT RAISE(ABORT, 'the lease is lost') WHERE changes() = 0;

    UPDATE sync_state
    SET status = r.value ->> 2, reason = r.value ->> 3, detail = r.value ->> 4, http_status = r.value ->> 5, attempts = r.value ->> 6,
        sent_as = r.value ->> 7,
        settled_at = CASE WHEN r.value ->> 2 IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected') THEN {now} END
    FROM json_each(NEW.updates) AS r
    WHERE sync_state.stream = r.value ->> 0 AND sync_state.message_id = r.value ->> 1 AND sync_state.status IN ('failed', 'sending');
    SELECT RAISE(ABORT, 'a mark is gone') WHERE NEW.strict AND changes() <> json_array_length(NEW.updates);

    INSERT INTO sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts,
        payload_hash, sent_as, source, run_id, first_seen_at, settled_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 8, value ->> 9, value ->> 10, value ->> 11,
        value ->> 6, value ->> 7, value ->> 12, value ->> 13, NEW.run_id, {now},
        CASE WHEN value ->> 8 IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected') THEN {now} END
    FROM json_each(NEW.inserts) WHERE true
    ON CONFLICT (stream, message_id) DO UPDATE
        SET status = excluded.status, reason = excluded.reason, detail = excluded.detail, http_status = excluded.http_status,
            attempts = excluded.attempts, payload_hash = excluded.payload_hash, sent_as = excluded.sent_as, run_id = excluded.run_id,
            settled_at = excluded.settled_at, user_id = coalesce(excluded.user_id, sync_state.user_id)
        WHERE sync_state.status IN ('failed', 'waiting', 'sending') OR sync_state.status = NEW.reopens;

    INSERT INTO sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, attempts, payload_hash, source, run_id,
        first_seen_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, 'sending', value ->> 6, value ->> 7, value ->> 8,
        NEW.run_id, {now}
    FROM json_each(NEW.marks) WHERE true
    ON CONFLICT (stream, message_id) DO UPDATE
        SET status = 'sending', reason = NULL, detail = NULL, http_status = NULL, attempts = excluded.attempts,
            payload_hash = excluded.payload_hash, sent_as = NULL, run_id = excluded.run_id, settled_at = NULL,
            user_id = coalesce(excluded.user_id, sync_state.user_id)
        WHERE (sync_state.status IN ('failed', 'waiting', 'sending') OR sync_state.status = NEW.reopens)
            AND NOT (sync_state.status = 'sending' AND sync_state.user_id IS NOT excluded.user_id);
    SELECT RAISE(ABORT, 'a mark did not take') WHERE NEW.strict AND changes() <> json_array_length(NEW.marks);

    INSERT INTO sync_customers (source_id, trait_hashes, first_sent_at, last_sent_at, last_message_id, accepted_code)
    SELECT value ->> 0, value ->> 1, iif(value ->> 3, {now}, NULL),
        iif(value ->> 3, {now}, NULL), value ->> 2, value ->> 4
    FROM json_each(NEW.customers) WHERE true
    ON CONFLICT (source_id) DO UPDATE
        SET trait_hashes = excluded.trait_hashes, first_sent_at = coalesce(sync_customers.first_sent_at, excluded.first_sent_at),
            last_sent_at = coalesce(excluded.last_sent_at, sync_customers.last_sent_at),
            last_message_id = coalesce(excluded.last_message_id, sync_customers.last_message_id),
            accepted_code = coalesce(excluded.accepted_code, sync_customers.accepted_code);
END;

-- name: write_batch
-- does: writes a batch as one statement: proves and extends the lease, updates marked calls, inserts other calls and customers, marks what is sent next
-- dialect: sqlite
INSERT INTO sync_batch (name, owner, fence, ttl_s, run_id, reopens, strict, updates, inserts, marks, customers)
VALUES (:name, :owner, :fence, :ttl_s, :run_id, :reopens, :strict, :updates, :inserts, :marks, :customers);

-- name: write_batch
-- does: writes a batch as one statement: proves and extends the lease, updates marked calls, inserts other calls and customers, marks what is sent next; if strict, fails as a whole when a row cannot be updated or marked; gives no row when the lease is lost
-- dialect: postgresql
WITH held AS (
    UPDATE sync_lease SET expires_at = clock_timestamp() + make_interval(secs => :ttl_s)
    WHERE name = :name AND owner = :owner AND fence = :fence
    RETURNING fence
), updated AS (
    -- Not UPDATE: a plan made while the table is small may read an index that is slow when it is large. Here none is chosen.
    INSERT INTO sync_state AS s (stream, message_id, status, reason, detail, http_status, attempts, sent_as, run_id, first_seen_at, settled_at)
    SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3, r ->> 4, CAST(r ->> 5 AS integer), CAST(r ->> 6 AS integer), r ->> 7, :run_id, now(),
        CASE WHEN r ->> 2 IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected') THEN now() END
    FROM held, jsonb_array_elements(CAST(:updates AS jsonb)) AS r
    ON CONFLICT (stream, message_id) DO UPDATE
        SET status = excluded.status, reason = excluded.reason, detail = excluded.detail, http_status = excluded.http_status,
            attempts = excluded.attempts, sent_as = excluded.sent_as, settled_at = excluded.settled_at
        WHERE s.status IN ('failed', 'sending')
    RETURNING first_seen_at = now() AS is_new
), inserted AS (
    INSERT INTO sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts,
        payload_hash, sent_as, source, run_id, first_seen_at, settled_at)
    SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3, CAST(r ->> 4 AS timestamptz), CAST(r ->> 5 AS timestamptz), r ->> 8, r ->> 9, r ->> 10,
        CAST(r ->> 11 AS integer), CAST(r ->> 6 AS integer), r ->> 7, r ->> 12, r ->> 13, :run_id, now(),
        CASE WHEN r ->> 8 IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected') THEN now() END
    FROM held, jsonb_array_elements(CAST(:inserts AS jsonb)) AS r
    ON CONFLICT (stream, message_id) DO UPDATE
        SET status = excluded.status, reason = excluded.reason, detail = excluded.detail, http_status = excluded.http_status,
            attempts = excluded.attempts, payload_hash = excluded.payload_hash, sent_as = excluded.sent_as, run_id = excluded.run_id,
            settled_at = excluded.settled_at, user_id = coalesce(excluded.user_id, sync_state.user_id)
        WHERE sync_state.status IN ('failed', 'waiting', 'sending') OR sync_state.status = :reopens
), marked AS (
    INSERT INTO sync_state (stream, message_id, user_id, event, received_at, occurred_at, status, attempts, payload_hash, source, run_id,
        first_seen_at)
    SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3, CAST(r ->> 4 AS timestamptz), CAST(r ->> 5 AS timestamptz), 'sending',
        CAST(r ->> 6 AS integer), r ->> 7, r ->> 8, :run_id, now()
    FROM held, jsonb_array_elements(CAST(:marks AS jsonb)) AS r
    ON CONFLICT (stream, message_id) DO UPDATE
        SET status = 'sending', reason = NULL, detail = NULL, http_status = NULL, attempts = excluded.attempts,
            payload_hash = excluded.payload_hash, sent_as = NULL, run_id = excluded.run_id, settled_at = NULL,
            user_id = coalesce(excluded.user_id, sync_state.user_id)
        WHERE (sync_state.status IN ('failed', 'waiting', 'sending') OR sync_state.status = :reopens)
            AND NOT (sync_state.status = 'sending' AND sync_state.user_id IS DISTINCT FROM excluded.user_id)
    RETURNING 1
), customers AS (
    INSERT INTO sync_customers (source_id, trait_hashes, first_sent_at, last_sent_at, last_message_id, accepted_code)
    SELECT r ->> 0, r ->> 1, CASE WHEN CAST(r ->> 3 AS boolean) THEN now() END, CASE WHEN CAST(r ->> 3 AS boolean) THEN now() END, r ->> 2,
        r ->> 4
    FROM held, jsonb_array_elements(CAST(:customers AS jsonb)) AS r
    ON CONFLICT (source_id) DO UPDATE
        SET trait_hashes = excluded.trait_hashes, first_sent_at = coalesce(sync_customers.first_sent_at, excluded.first_sent_at),
            last_sent_at = coalesce(excluded.last_sent_at, sync_customers.last_sent_at),
            last_message_id = coalesce(excluded.last_message_id, sync_customers.last_message_id),
            accepted_code = coalesce(excluded.accepted_code, sync_customers.accepted_code)
)
SELECT CASE
    WHEN CAST(:strict AS boolean) AND (SELECT count(*) FROM updated WHERE NOT is_new) + (SELECT count(*) FROM marked)
        <> jsonb_array_length(CAST(:updates AS jsonb)) + jsonb_array_length(CAST(:marks AS jsonb))
    -- Casting a text that is no number is the only way to fail here.
    THEN CAST('an update or a mark did not take, fence ' || held.fence AS bigint)
    ELSE held.fence
END AS fence
FROM held;

-- name: read_marks
-- does: lists which of these calls this run has marked for these users
-- words: rows
SELECT s.stream, s.message_id
FROM {rows: :rows} AS r CROSS JOIN sync_state AS s
WHERE s.stream = r.value ->> 'stream' AND s.message_id = r.value ->> 'message_id'
    AND s.status = 'sending' AND s.run_id = :run_id AND s.user_id = r.value ->> 'user_id';

-- name: forget_marks
-- does: deletes marked or failed calls that had no record before this run
-- words: rows
DELETE FROM sync_state
WHERE status IN ('sending', 'failed') AND run_id = :run_id
    AND (stream, message_id) IN (SELECT r.value ->> 'stream', r.value ->> 'message_id' FROM {rows: :rows} AS r);

-- name: restore_previous
-- does: restores the record that marked or failed calls had before this run
-- words: rows, now
UPDATE sync_state
SET status = previous.status, reason = previous.reason, detail = previous.detail, http_status = previous.http_status,
    attempts = previous.attempts, run_id = previous.run_id,
    payload_hash = CASE WHEN previous.status IN ('rejected', 'waiting') THEN NULL ELSE payload_hash END,
    settled_at = CASE WHEN previous.status = 'rejected' THEN {now} END
FROM (
    SELECT r.value ->> 'stream' AS stream, r.value ->> 'message_id' AS message_id, r.value ->> 'status' AS status,
        r.value ->> 'reason' AS reason, r.value ->> 'detail' AS detail, CAST(r.value ->> 'http_status' AS integer) AS http_status,
        CAST(r.value ->> 'attempts' AS integer) AS attempts, r.value ->> 'run_id' AS run_id
    FROM {rows: :rows} AS r
) AS previous
WHERE sync_state.stream = previous.stream AND sync_state.message_id = previous.message_id AND sync_state.status IN ('sending', 'failed');
