-- What took the sync-state tables themselves to ask: calls by day, customers, referral codes.

CREATE VIEW v1_calls_by_day AS
SELECT substr(received_at, 1, 10) AS day, source, stream, event, status, reason, count(1) AS calls
FROM sync_state
GROUP BY substr(received_at, 1, 10), source, stream, event, status, reason;

CREATE VIEW v1_customers AS
SELECT source_id AS user_id, referral_code, first_sent_at, last_sent_at, last_message_id FROM sync_customers;

CREATE VIEW v1_referral_codes AS
SELECT c.referral_code, c.source_id AS owner,
    (SELECT max(json_extract(each.value, '$[0]'))
        FROM json_each(CASE WHEN json_type(c.trait_hashes) = 'array' THEN c.trait_hashes END) AS each
        WHERE json_type(each.value, '$[2].referral_code') IS NOT NULL) AS carried_at,
    t.user_id AS tried_by, t.calls AS tried_calls, t.last_at AS last_tried_at
FROM sync_customers AS c
LEFT JOIN (
    SELECT detail, user_id, count(1) AS calls, max(occurred_at) AS last_at
    FROM sync_state WHERE status = 'rejected' AND reason = 'referral_code_taken' GROUP BY detail, user_id
) AS t ON t.detail = 'owned by user ' || c.source_id
WHERE c.referral_code IS NOT NULL;
