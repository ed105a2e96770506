-- Customers: what each last got, and who owns which referral code.

-- name: read_customers
-- does: gives what these customers last got
-- words: ids
SELECT c.source_id, c.trait_hashes FROM sync_customers AS c WHERE c.source_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: explain_customer
-- does: gives what is known of one customer, by user id or by a message id of theirs, without its hashes
SELECT c.source_id, c.referral_code, c.first_sent_at, c.last_sent_at, c.last_message_id
FROM sync_customers AS c
WHERE c.source_id = :id
    OR c.source_id IN (SELECT s.user_id FROM sync_state AS s WHERE s.stream IN ('identifies', 'tracks') AND s.message_id = :id)
ORDER BY CASE WHEN c.source_id = :id THEN 0 ELSE 1 END LIMIT 1;

-- name: read_codes
-- does: gives the referral codes of these users, and who owns these codes or has them at Rehook
-- dialect: postgresql
-- One by one in an index, which OFFSET makes sure of: without statistics of a table that has grown since the planner would read it whole.
SELECT c.source_id, c.referral_code, c.accepted_code FROM jsonb_array_elements_text(CAST(:ids AS jsonb)) AS wanted (value)
CROSS JOIN LATERAL (SELECT s.source_id, s.referral_code, s.accepted_code FROM sync_customers AS s WHERE s.source_id = wanted.value OFFSET 0) AS c
UNION
SELECT c.source_id, c.referral_code, c.accepted_code FROM jsonb_array_elements_text(CAST(:codes AS jsonb)) AS wanted (value)
CROSS JOIN LATERAL (SELECT s.source_id, s.referral_code, s.accepted_code FROM sync_customers AS s WHERE s.referral_code = wanted.value OFFSET 0) AS c
UNION
SELECT c.source_id, c.referral_code, c.accepted_code FROM jsonb_array_elements_text(CAST(:codes AS jsonb)) AS wanted (value)
CROSS JOIN LATERAL (SELECT s.source_id, s.referral_code, s.accepted_code FROM sync_customers AS s WHERE s.accepted_code = wanted.value OFFSET 0) AS c;

-- name: read_codes
-- does: gives the referral codes of these users, and who owns these codes or has them at Rehook
-- dialect: sqlite
SELECT c.source_id, c.referral_code, c.accepted_code FROM sync_customers AS c WHERE c.source_id IN (SELECT value FROM json_each(:ids))
UNION
SELECT c.source_id, c.referral_code, c.accepted_code FROM sync_customers AS c WHERE c.referral_code IN (SELECT value FROM json_each(:codes))
UNION
SELECT c.source_id, c.referral_code, c.accepted_code FROM sync_customers AS c WHERE c.accepted_code IN (SELECT value FROM json_each(:codes));

-- name: clear_codes
-- does: frees the codes that claims replace, before the claims are written
-- words: ids
UPDATE sync_customers SET referral_code = NULL WHERE source_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: write_claims
-- does: gives referral codes to their users
-- words: rows
-- SQLite reads ON CONFLICT after a SELECT only when WHERE stands between.
INSERT INTO sync_customers (source_id, referral_code)
SELECT r.value ->> 'source_id', r.value ->> 'referral_code' FROM {rows: :rows} AS r WHERE true
ON CONFLICT (source_id) DO UPDATE SET referral_code = excluded.referral_code;

-- name: accept_claims
-- does: notes the referral codes that Rehook accepted
-- words: rows
UPDATE sync_customers SET accepted_code = claim.referral_code
FROM (SELECT r.value ->> 'source_id' AS source_id, r.value ->> 'referral_code' AS referral_code FROM {rows: :rows} AS r) AS claim
WHERE sync_customers.source_id = claim.source_id;

-- name: release_claim
-- does: takes a code from its user again whose call did not arrive
UPDATE sync_customers SET referral_code = NULL WHERE source_id = :user_id AND referral_code = :code;

-- name: give_code_back
-- does: gives a user without a code the one from before, when it is still free
UPDATE sync_customers SET referral_code = :code
WHERE source_id = :user_id AND referral_code IS NULL
    AND NOT EXISTS (SELECT 1 FROM sync_customers AS other WHERE other.referral_code = :code);
