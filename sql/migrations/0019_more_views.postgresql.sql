-- What took the sync-state tables themselves to ask: calls by day, customers, referral codes.

CREATE VIEW v1_calls_by_day AS
SELECT CAST(received_at AT TIME ZONE 'UTC' AS date) AS day, source, stream, event, status, reason, count(*) AS calls
FROM sync_state
GROUP BY CAST(received_at AT TIME ZONE 'UTC' AS date), source, stream, event, status, reason;

CREATE VIEW v1_customers AS
SELECT source_id AS user_id, referral_code, first_sent_at, last_sent_at, last_message_id FROM sync_customers;

CREATE VIEW v1_referral_codes AS
SELECT c.referral_code, c.source_id AS owner,
    (SELECT max(CAST(each.value ->> 0 AS timestamptz))
        FROM jsonb_array_elements(CASE WHEN jsonb_typeof(CAST(c.trait_hashes AS jsonb)) = 'array' THEN CAST(c.trait_hashes AS jsonb) END) AS each (value)
        WHERE each.value -> 2 -> 'referral_code' IS NOT NULL) AS carried_at,
    t.user_id AS tried_by, t.calls AS tried_calls, t.last_at AS last_tried_at
FROM sync_customers AS c
LEFT JOIN (
    SELECT detail, user_id, count(*) AS calls, max(occurred_at) AS last_at
    FROM sync_state WHERE status = 'rejected' AND reason = 'referral_code_taken' GROUP BY detail, user_id
) AS t ON t.detail = 'owned by user ' || c.source_id
WHERE c.referral_code IS NOT NULL;

COMMENT ON VIEW v1_calls_by_day IS 'Every judged call, counted by the day it was received, with what became of it.';
COMMENT ON COLUMN v1_calls_by_day.day IS 'day of received_at; NULL: the call has no time of arrival';
COMMENT ON COLUMN v1_calls_by_day.source IS 'name of the Segment source it is of';
COMMENT ON COLUMN v1_calls_by_day.stream IS 'identifies, tracks, or the name of another table of calls';
COMMENT ON COLUMN v1_calls_by_day.event IS 'event name; NULL for identifies, and where prune took it out';
COMMENT ON COLUMN v1_calls_by_day.status IS 'see statuses';
COMMENT ON COLUMN v1_calls_by_day.reason IS 'see reasons';
COMMENT ON COLUMN v1_calls_by_day.calls IS 'number of such calls';
COMMENT ON VIEW v1_customers IS 'Every customer that was sent to Rehook, or that has a code or calls settled here.';
COMMENT ON COLUMN v1_customers.user_id IS 'as in the warehouse; Rehook''s source_id';
COMMENT ON COLUMN v1_customers.referral_code IS 'the code this user owns now';
COMMENT ON COLUMN v1_customers.first_sent_at IS 'first accepted upsert; NULL: none yet';
COMMENT ON COLUMN v1_customers.last_sent_at IS 'newest accepted upsert; NULL: none yet';
COMMENT ON COLUMN v1_customers.last_message_id IS 'the Identify call that was sent last';
COMMENT ON VIEW v1_referral_codes IS 'Every referral code with its owner, and a row for each other user whose calls were rejected for a code of this owner.';
COMMENT ON COLUMN v1_referral_codes.referral_code IS 'the code';
COMMENT ON COLUMN v1_referral_codes.owner IS 'the user who has it now';
COMMENT ON COLUMN v1_referral_codes.carried_at IS 'timestamp of the owner''s newest call that carried it; NULL: not known';
COMMENT ON COLUMN v1_referral_codes.tried_by IS 'another user whose calls were rejected as referral_code_taken by this owner; NULL: nobody';
COMMENT ON COLUMN v1_referral_codes.tried_calls IS 'number of these calls';
COMMENT ON COLUMN v1_referral_codes.last_tried_at IS 'timestamp of the newest of them';
