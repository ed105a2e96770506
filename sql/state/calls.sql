-- What is recorded of calls.

-- name: known_ids
-- does: gives what is recorded of these message ids
-- words: ids
SELECT s.message_id, s.status, s.event, s.received_at, s.source, s.user_id, s.run_id, s.detail FROM sync_state AS s
WHERE s.stream = :stream AND s.message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: has_calls
-- does: tells whether calls of a feed are recorded
SELECT EXISTS (SELECT 1 FROM sync_state AS s WHERE s.stream = :stream AND s.source = :source);

-- name: read_failed
-- does: lists failed calls in time order; with a reason, all failed calls of the users who have one
-- words: by_index, ids
SELECT s.message_id, coalesce(s.occurred_at, s.first_seen_at) AS due_at, s.status, s.reason, s.detail, s.http_status, s.attempts, s.run_id
FROM sync_state AS s {by_index: sync_state_unsettled}
WHERE s.status IN ('failed', 'in_doubt', 'sending') AND s.status = 'failed' AND s.source = :source AND s.stream = :stream
    AND (CAST(:reason AS text) IS NULL OR s.reason = CAST(:reason AS text)
        OR s.user_id IN (SELECT same.user_id FROM sync_state AS same WHERE same.status IN ('failed', 'in_doubt', 'sending') AND same.status = 'failed' AND same.reason = CAST(:reason AS text)))
    AND (CAST(:ids AS text) IS NULL OR s.user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR s.message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted))
ORDER BY due_at, s.message_id;

-- name: read_waiting
-- does: lists calls that wait for their properties, in time order
-- words: by_index, ids
SELECT s.message_id, coalesce(s.occurred_at, s.first_seen_at) AS due_at, s.status, s.reason, s.detail, s.http_status, s.attempts, s.run_id
FROM sync_state AS s {by_index: sync_state_waiting}
WHERE s.status = 'waiting' AND s.source = :source AND s.stream = :stream AND (CAST(:reason AS text) IS NULL OR s.reason = CAST(:reason AS text))
    AND (CAST(:ids AS text) IS NULL OR s.user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR s.message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted))
ORDER BY due_at, s.message_id;

-- name: read_rejected
-- does: lists calls that our own rules rejected, in time order, without pruned and forgotten ones; with that reason, those that Rehook refused
-- words: ids
SELECT s.message_id, coalesce(s.occurred_at, s.first_seen_at) AS due_at, s.status, s.reason, s.detail, s.http_status, s.attempts, s.run_id
FROM sync_state AS s
WHERE s.status = 'rejected' AND s.source = :source AND s.stream = :stream AND s.reason <> 'forgotten'
    AND (s.user_id IS NOT NULL OR s.reason = 'missing_user_id')
    AND (s.reason = CAST(:reason AS text) OR (CAST(:reason AS text) IS NULL AND s.reason <> 'refused_by_rehook'))
    AND (CAST(:ids AS text) IS NULL OR s.user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR s.message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted))
ORDER BY due_at, s.message_id;

-- name: count_doubtful
-- does: counts the calls in doubt, of these ids or all
-- words: ids
SELECT count(*) FROM sync_state
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'in_doubt'
    AND (CAST(:ids AS text) IS NULL OR user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted));

-- name: read_not_doubtful
-- does: lists those of these ids that are neither a call in doubt nor a user who has one
-- words: ids
SELECT wanted.value FROM {ids: :ids} AS wanted
WHERE NOT EXISTS (
    SELECT 1 FROM sync_state AS s
    WHERE s.status IN ('failed', 'in_doubt', 'sending') AND s.status = 'in_doubt'
        AND (s.message_id = wanted.value OR s.user_id = wanted.value))
ORDER BY wanted.value;

-- name: accept_doubtful
-- does: settles calls in doubt as sent
-- words: now, ids
UPDATE sync_state SET status = 'sent', reason = NULL, detail = :detail, run_id = :run_id, settled_at = {now}
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'in_doubt'
    AND (CAST(:ids AS text) IS NULL OR user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted))
RETURNING message_id;

-- name: release_doubtful
-- does: turns calls in doubt to failed, so that they are sent again
-- words: ids
UPDATE sync_state SET status = 'failed', detail = :detail
WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'in_doubt'
    AND (CAST(:ids AS text) IS NULL OR user_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted)
        OR message_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted))
RETURNING stream, message_id, user_id;

-- name: count_doubtful_within
-- does: counts the calls of a feed in doubt that arrived in a window
-- dialect: postgresql
SELECT count(*) FROM sync_state AS s
WHERE s.status IN ('failed', 'in_doubt', 'sending') AND s.status = 'in_doubt' AND s.source = :source AND s.stream = :stream
    AND (CAST(:low AS timestamptz) IS NULL OR s.received_at >= CAST(:low AS timestamptz)) AND s.received_at < :high;

-- name: count_doubtful_within
-- does: counts the calls of a feed in doubt that arrived in a window
-- dialect: sqlite
SELECT count(*) FROM sync_state AS s
WHERE s.status IN ('failed', 'in_doubt', 'sending') AND s.status = 'in_doubt' AND s.source = :source AND s.stream = :stream
    AND (:low IS NULL OR s.received_at >= :low) AND s.received_at < :high;

-- name: skip_unsent
-- does: settles the failed and waiting calls of a feed that arrived in a window as settled elsewhere; without a lower bound, those without a time too
-- dialect: postgresql
UPDATE sync_state SET status = 'skipped', reason = 'settled_elsewhere', detail = NULL, run_id = :run_id, settled_at = now()
WHERE status IN ('failed', 'waiting') AND source = :source AND stream = :stream
    AND ((CAST(:low AS timestamptz) IS NULL AND received_at IS NULL)
        OR ((CAST(:low AS timestamptz) IS NULL OR received_at >= CAST(:low AS timestamptz)) AND received_at < :high));

-- name: skip_unsent
-- does: settles the failed and waiting calls of a feed that arrived in a window as settled elsewhere; without a lower bound, those without a time too
-- dialect: sqlite
-- words: now
UPDATE sync_state SET status = 'skipped', reason = 'settled_elsewhere', detail = NULL, run_id = :run_id, settled_at = {now}
WHERE status IN ('failed', 'waiting') AND source = :source AND stream = :stream
    AND ((:low IS NULL AND received_at IS NULL) OR ((:low IS NULL OR received_at >= :low) AND received_at < :high));

-- name: count_unsettled
-- does: counts the calls that are failed, in doubt or marked, or have waited too long, by status
SELECT status, count(*) AS n FROM v1_attention GROUP BY status;

-- name: count_due_again
-- does: counts the calls that the next run takes up again
SELECT (SELECT count(*) FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'failed')
    + (SELECT count(*) FROM sync_state WHERE status = 'waiting') AS n;

-- name: count_due
-- does: counts the calls that a run of their source and stream takes up again
SELECT due.source, due.stream, count(*) AS n FROM (
    SELECT source, stream FROM sync_state WHERE status IN ('failed', 'in_doubt', 'sending') AND status = 'failed'
    UNION ALL
    SELECT source, stream FROM sync_state WHERE status = 'waiting'
) AS due GROUP BY due.source, due.stream ORDER BY due.source, due.stream;

-- name: count_recorded
-- does: counts the recorded calls of a window by day and event
-- dialect: postgresql
SELECT CAST(CAST(s.received_at AS date) AS text) AS day, s.event, count(*) AS n FROM sync_state AS s
WHERE s.source = :source AND s.stream = :stream AND (CAST(:low AS timestamptz) IS NULL OR s.received_at >= CAST(:low AS timestamptz)) AND s.received_at < :high
GROUP BY 1, 2;

-- name: count_recorded
-- does: counts the recorded calls of a window by day and event
-- dialect: sqlite
SELECT substr(s.received_at, 1, 10) AS day, s.event, count(*) AS n FROM sync_state AS s
WHERE s.source = :source AND s.stream = :stream AND (:low IS NULL OR s.received_at >= :low) AND s.received_at < :high
GROUP BY 1, 2;

-- name: count_by_status
-- does: counts all calls ever judged, by stream, status and reason
SELECT stream, status, reason, count(*) AS n FROM sync_state GROUP BY stream, status, reason ORDER BY stream, status, reason;

-- name: read_streams
-- does: gives the streams of all calls ever judged, by one look into the index for each
WITH RECURSIVE found (stream) AS (
    SELECT min(stream) FROM sync_state
    UNION ALL
    SELECT (SELECT min(s.stream) FROM sync_state AS s WHERE s.stream > found.stream) FROM found WHERE found.stream IS NOT NULL)
SELECT stream FROM found WHERE stream IS NOT NULL;

-- name: explain
-- does: lists the calls of one user id or message id, oldest first
-- words: ids
SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status, s.reason, s.detail, s.http_status,
    s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM sync_state AS s WHERE s.user_id = :id
UNION
SELECT s.stream, s.message_id, s.user_id, s.event, s.received_at, s.occurred_at, s.status, s.reason, s.detail, s.http_status,
    s.attempts, s.sent_as, s.run_id, s.first_seen_at, s.settled_at, s.source
FROM sync_state AS s WHERE s.stream IN (SELECT t.value FROM {ids: :streams} AS t) AND s.message_id = :id
ORDER BY occurred_at, stream, message_id;

-- name: explain_related
-- does: lists the call that carried a message and the other unsettled calls of its user, oldest first
-- words: ids
SELECT o.stream, o.message_id, o.user_id, o.event, o.received_at, o.occurred_at, o.status, o.reason, o.detail, o.http_status,
    o.attempts, o.sent_as, o.run_id, o.first_seen_at, o.settled_at, o.source
FROM sync_state AS o
WHERE o.stream = 'identifies'
    AND o.message_id = (SELECT s.sent_as FROM sync_state AS s WHERE s.stream = 'identifies' AND s.message_id = :id)
UNION
SELECT o.stream, o.message_id, o.user_id, o.event, o.received_at, o.occurred_at, o.status, o.reason, o.detail, o.http_status,
    o.attempts, o.sent_as, o.run_id, o.first_seen_at, o.settled_at, o.source
FROM sync_state AS o
WHERE o.status IN ('failed', 'in_doubt', 'sending') AND o.message_id <> :id
    AND o.user_id IN (SELECT s.user_id FROM sync_state AS s WHERE s.stream IN (SELECT t.value FROM {ids: :streams} AS t) AND s.message_id = :id)
ORDER BY occurred_at, stream, message_id;

-- name: prune_page
-- does: clears user, event and details of one page of calls settled before a time, in key order; status and key stay, so that no run judges them again
-- The detail of a skipped call names nobody: it says whether our rules reject it, and a refresh sends nothing of such a call.
UPDATE sync_state SET user_id = NULL, event = NULL, detail = CASE WHEN status = 'skipped' THEN detail END, http_status = NULL, payload_hash = NULL, sent_as = NULL
WHERE (stream, message_id) IN (
    SELECT old.stream, old.message_id FROM sync_state AS old
    WHERE (old.stream, old.message_id) > (:stream, :message_id) AND old.settled_at < :before
        AND (old.user_id IS NOT NULL OR old.event IS NOT NULL OR (old.detail IS NOT NULL AND old.status <> 'skipped') OR old.payload_hash IS NOT NULL)
    ORDER BY old.stream, old.message_id LIMIT :rows)
RETURNING stream, message_id;

-- name: count_prunable
-- does: counts the calls settled before a time that are not pruned
SELECT count(*) FROM sync_state
WHERE settled_at < :before
    AND (user_id IS NOT NULL OR event IS NOT NULL OR (detail IS NOT NULL AND status <> 'skipped') OR payload_hash IS NOT NULL);

-- name: read_attention
-- does: lists calls that failed, are in doubt or have waited too long, first seen first
SELECT stream, message_id, user_id, event, status, reason, detail, attempts, first_seen_at
FROM v1_attention WHERE status IN ('failed', 'in_doubt', 'waiting')
ORDER BY first_seen_at, stream, message_id LIMIT :rows;
