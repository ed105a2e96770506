-- Finding one person and removing them.

-- name: count_person_calls
-- does: counts the calls of one user by status
SELECT status, count(*) AS n FROM sync_state WHERE user_id = :user_id GROUP BY status;

-- name: read_person_codes
-- does: gives the referral code that one user owns and the one that Rehook has for them
SELECT referral_code, accepted_code FROM sync_customers WHERE source_id = :user_id;

-- name: read_details
-- does: lists the details of all calls except those of one user and of skipped ones, which name nobody
SELECT stream, message_id, detail FROM sync_state
WHERE detail IS NOT NULL AND status <> 'skipped' AND coalesce(user_id, '') <> :user_id;

-- name: read_run_errors
-- does: lists the errors of runs
SELECT run_id, error FROM sync_runs WHERE error IS NOT NULL;

-- name: give_up_unsent
-- does: rejects the failed and waiting calls of one user, so that no run sends them
-- words: now
UPDATE sync_state SET status = 'rejected', reason = 'forgotten', run_id = :run_id, settled_at = {now}
WHERE user_id = :user_id AND status IN ('failed', 'waiting');

-- name: write_details
-- does: replaces the details of these calls
-- words: rows
UPDATE sync_state SET detail = other.detail
FROM (SELECT r.value ->> 'stream' AS stream, r.value ->> 'message_id' AS message_id, r.value ->> 'detail' AS detail FROM {rows: :rows} AS r) AS other
WHERE sync_state.stream = other.stream AND sync_state.message_id = other.message_id;

-- name: write_run_error
-- does: replaces the error of a run
UPDATE sync_runs SET error = :error WHERE run_id = :run_id;

-- name: forget_calls_page
-- does: clears user, detail and hash of one page of settled calls of one user; status, key and times stay, so that no run judges them again
-- The detail of a skipped call says whether our rules reject it, for a refresh.
UPDATE sync_state SET user_id = NULL, detail = CASE WHEN status = 'skipped' THEN detail END, payload_hash = NULL
WHERE (stream, message_id) IN (
    SELECT own.stream, own.message_id FROM sync_state AS own
    WHERE own.user_id = :user_id AND own.status NOT IN ('failed', 'waiting', 'in_doubt', 'sending')
    ORDER BY own.occurred_at LIMIT :rows)
RETURNING stream, message_id;

-- name: forget_customer
-- does: deletes the record of one customer
DELETE FROM sync_customers WHERE source_id = :user_id;
