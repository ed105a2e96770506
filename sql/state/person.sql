-- What is known of one person, and how it is taken out.

-- name: count_person_calls
-- does: counts the calls of one user by status
SELECT status, count(*) AS n FROM sync_state WHERE user_id = :user_id GROUP BY status;

-- name: read_person_codes
-- does: gives the referral codes of one user, as we and as Rehook know them
SELECT referral_code, accepted_code FROM sync_customers WHERE source_id = :user_id;

-- name: read_details
-- does: lists the details of all calls but those of one user
SELECT stream, message_id, detail FROM sync_state WHERE detail IS NOT NULL AND coalesce(user_id, '') <> :user_id;

-- name: read_run_errors
-- does: lists what stopped runs
SELECT run_id, error FROM sync_runs WHERE error IS NOT NULL;

-- name: give_up_failed
-- does: settles the failed calls of one user, so that nobody sends them
-- words: now
UPDATE sync_state SET status = 'rejected', reason = 'forgotten', run_id = :run_id, settled_at = {now}
WHERE user_id = :user_id AND status = 'failed';

-- name: write_details
-- does: puts other details in the place of those of some calls
-- words: rows
UPDATE sync_state SET detail = other.detail
FROM (SELECT r.value ->> 'stream' AS stream, r.value ->> 'message_id' AS message_id, r.value ->> 'detail' AS detail FROM {rows: :rows} AS r) AS other
WHERE sync_state.stream = other.stream AND sync_state.message_id = other.message_id;

-- name: write_run_error
-- does: puts another text in the place of what stopped a run
UPDATE sync_runs SET error = :error WHERE run_id = :run_id;

-- name: forget_calls_page
-- does: takes out of some settled calls of one user who it was and what was said; status, key and times stay for the diff
UPDATE sync_state SET user_id = NULL, detail = NULL, payload_hash = NULL
WHERE (stream, message_id) IN (
    SELECT own.stream, own.message_id FROM sync_state AS own
    WHERE own.user_id = :user_id AND own.status NOT IN ('failed', 'in_doubt', 'sending')
    ORDER BY own.occurred_at LIMIT :rows);

-- name: forget_customer
-- does: removes the record of one customer
DELETE FROM sync_customers WHERE source_id = :user_id;
