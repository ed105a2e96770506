-- The copy for analysts: what it still lacks, and the rows that bring it there.

-- name: is_published
-- does: tells whether there is a copy, so that changes are noted for it
SELECT EXISTS (SELECT 1 FROM sync_publication);

-- name: note_changes
-- does: notes that these runs, calls or customers have changed
-- words: rows
-- SQLite needs WHERE between a SELECT and ON CONFLICT.
INSERT INTO sync_changes (kind, stream, changed_id)
SELECT :kind, coalesce(r.value ->> 'stream', ''), r.value ->> 'id' FROM {rows: :rows} AS r WHERE true
ON CONFLICT (kind, stream, changed_id) DO NOTHING;

-- name: note_marked
-- does: notes the calls that a dead process left in flight, before they are settled
-- words: by_index
INSERT INTO sync_changes (kind, stream, changed_id)
SELECT 'call', stream, message_id FROM sync_state {by_index: sync_state_unsettled}
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'sending'
ON CONFLICT (kind, stream, changed_id) DO NOTHING;

-- name: note_open_claims
-- does: notes the customers whose code is not the one that Rehook has, before that is put right
-- words: by_index
INSERT INTO sync_changes (kind, stream, changed_id)
SELECT 'customer', '', c.source_id FROM (
    SELECT source_id FROM sync_customers {by_index: sync_customers_open}
    WHERE referral_code IS NOT NULL AND (accepted_code IS NULL OR accepted_code <> referral_code)
    UNION ALL
    SELECT source_id FROM sync_customers {by_index: sync_customers_freed}
    WHERE referral_code IS NULL AND accepted_code IS NOT NULL
) AS c WHERE true
ON CONFLICT (kind, stream, changed_id) DO NOTHING;

-- name: read_publication
-- does: gives the copy that changes are noted for
SELECT publication_id, place, version, turn, reached, begun_at, published_at FROM sync_publication;

-- name: drop_publication
-- does: forgets the copy
DELETE FROM sync_publication;

-- name: insert_publication
-- does: records a copy that has nothing yet
-- words: now
INSERT INTO sync_publication (publication_id, place, version, turn, reached, begun_at)
VALUES (:publication_id, :place, :version, :turn, :reached, {now});

-- name: take_turn
-- does: counts a publication that begins
UPDATE sync_publication SET turn = turn + 1;

-- name: note_reached
-- does: records how far the first copy of all rows has come; NULL: all are there
UPDATE sync_publication SET reached = :reached;

-- name: note_published
-- does: records that the copy has all that is here
-- words: now
UPDATE sync_publication SET published_at = {now};

-- name: drop_changes
-- does: forgets all that was noted
DELETE FROM sync_changes;

-- name: drop_changed_runs
-- does: forgets what was noted of runs
DELETE FROM sync_changes WHERE kind IN ('run', 'summary');

-- name: drop_changed
-- does: forgets what was noted of calls or customers, up to one
DELETE FROM sync_changes WHERE kind = :kind AND (stream, changed_id) <= (:stream, :id);

-- name: read_changed_runs
-- does: lists the runs that have changed, oldest first; with their calls, or in themselves alone
SELECT changed_id FROM sync_changes WHERE kind IN ('run', :kind) GROUP BY changed_id ORDER BY changed_id;

-- name: read_changed_calls
-- does: gives a page of the calls that have changed one by one; without a status, the call is gone
SELECT c.stream AS noted_stream, c.changed_id AS noted_id, s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status,
    s.reason, s.detail, s.http_status, s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM (SELECT stream, changed_id FROM sync_changes WHERE kind = 'call' ORDER BY stream, changed_id LIMIT :rows) AS c
LEFT JOIN sync_state AS s ON s.stream = c.stream AND s.message_id = c.changed_id
ORDER BY c.stream, c.changed_id;

-- name: read_changed_customers
-- does: gives a page of the customers that have changed one by one; without a source_id, the customer is gone
SELECT c.stream AS noted_stream, c.changed_id AS noted_id, s.source_id, s.referral_code, s.accepted_code, s.first_sent_at, s.last_sent_at,
    s.last_message_id, s.refreshed_by, s.trait_hashes
FROM (SELECT stream, changed_id FROM sync_changes WHERE kind = 'customer' ORDER BY stream, changed_id LIMIT :rows) AS c
LEFT JOIN sync_customers AS s ON s.source_id = c.changed_id
ORDER BY c.stream, c.changed_id;

-- name: read_calls_of_run
-- does: gives the calls that a run wrote last
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
FROM sync_state WHERE run_id = :run_id;

-- name: read_customers_of_run
-- does: gives the customers whose Identify calls a run wrote last
SELECT c.source_id, c.referral_code, c.accepted_code, c.first_sent_at, c.last_sent_at, c.last_message_id, c.refreshed_by, c.trait_hashes
FROM sync_customers AS c
WHERE c.source_id IN (SELECT s.user_id FROM sync_state AS s WHERE s.run_id = :run_id AND s.stream = 'identifies');

-- name: read_run_rows
-- does: gives these runs with the number of their open periods
-- words: ids
SELECT r.run_id, r.trigger, r.status, r.since_at, r.until_at, r.started_at, r.finished_at, r.rows_read, r.sent, r.rejected, r.failed,
    r.in_doubt, r.unchanged, r.merged, r.requests, r.error, r.version, r.waiting, r.properties_wait_s, r.skipped, r.kind, r.settings,
    (SELECT count(*) FROM sync_periods AS p WHERE p.opened_by = r.run_id AND p.closed_at IS NULL) AS open_periods
FROM sync_runs AS r WHERE r.run_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: read_watermark_rows
-- does: gives the watermarks of these runs
-- words: ids
SELECT w.run_id, w.stream, w.low_at, w.high_at, w.rows_new, w.recorded_at, w.source, w.lacks_table
FROM sync_watermarks AS w WHERE w.run_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: read_call_page
-- does: gives a page of all calls from one on, in key order
SELECT stream, message_id, user_id, event, received_at, occurred_at, status, reason, detail, http_status, attempts, sent_as, run_id,
    first_seen_at, settled_at, source
FROM sync_state WHERE (stream, message_id) > (:stream, :id) ORDER BY stream, message_id LIMIT :rows;

-- name: read_customer_page
-- does: gives a page of all customers from one on, in key order
SELECT source_id, referral_code, accepted_code, first_sent_at, last_sent_at, last_message_id, refreshed_by, trait_hashes
FROM sync_customers WHERE source_id > :id ORDER BY source_id LIMIT :rows;

-- name: read_run_page
-- does: lists a page of all runs from one on, in key order
SELECT run_id FROM sync_runs WHERE run_id > :id ORDER BY run_id LIMIT :rows;
