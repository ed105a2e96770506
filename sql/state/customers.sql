-- Customers: what was last sent to each, and who owns which referral code.

-- name: read_customers
-- does: gives the hashes of what was last sent to these customers
-- words: ids
SELECT c.source_id, c.trait_hashes FROM sync_customers AS c WHERE c.source_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: read_refreshable
-- does: gives the codes and hashes of these customers, and the refresh that sent each last
-- words: ids
SELECT c.source_id, c.referral_code, c.trait_hashes, c.refreshed_by FROM sync_customers AS c
WHERE c.source_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);

-- name: write_refreshed
-- does: records what a refresh sent customers; without hashes, that Rehook refused it
-- words: rows, now
UPDATE sync_customers
SET trait_hashes = coalesce(sent.trait_hashes, sync_customers.trait_hashes),
    first_sent_at = CASE WHEN sent.trait_hashes IS NULL THEN sync_customers.first_sent_at ELSE coalesce(sync_customers.first_sent_at, {now}) END,
    last_sent_at = CASE WHEN sent.trait_hashes IS NULL THEN sync_customers.last_sent_at ELSE {now} END,
    last_message_id = coalesce(sent.message_id, sync_customers.last_message_id),
    refreshed_by = :refreshed_by
FROM (
    SELECT r.value ->> 'source_id' AS source_id, r.value ->> 'trait_hashes' AS trait_hashes, r.value ->> 'message_id' AS message_id
    FROM {rows: :rows} AS r
) AS sent
WHERE sync_customers.source_id = sent.source_id;

-- name: explain_customer
-- does: gives one customer without its hashes, by user id or by the message id of a call
-- words: ids
SELECT c.source_id, c.referral_code, c.first_sent_at, c.last_sent_at, c.last_message_id
FROM sync_customers AS c
WHERE c.source_id = :id
    OR c.source_id IN (SELECT s.user_id FROM sync_state AS s WHERE s.stream IN (SELECT t.value FROM {ids: :streams} AS t) AND s.message_id = :id)
ORDER BY CASE WHEN c.source_id = :id THEN 0 ELSE 1 END LIMIT 1;

-- name: read_codes
-- does: gives the referral codes of these users, and who owns these codes or has them at Rehook
-- dialect: postgresql
-- OFFSET forces index lookups one by one: with outdated statistics the planner would scan the table.
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
-- does: records the referral codes that users claimed
-- words: rows
-- SQLite needs WHERE between a SELECT and ON CONFLICT.
INSERT INTO sync_customers (source_id, referral_code)
SELECT r.value ->> 'source_id', r.value ->> 'referral_code' FROM {rows: :rows} AS r WHERE true
ON CONFLICT (source_id) DO UPDATE SET referral_code = excluded.referral_code;

-- name: accept_claims
-- does: records the referral codes that Rehook accepted
-- words: rows
UPDATE sync_customers SET accepted_code = claim.referral_code
FROM (SELECT r.value ->> 'source_id' AS source_id, r.value ->> 'referral_code' AS referral_code FROM {rows: :rows} AS r) AS claim
WHERE sync_customers.source_id = claim.source_id;

-- name: release_claim
-- does: frees the code that a user claimed
UPDATE sync_customers SET referral_code = NULL WHERE source_id = :user_id AND referral_code = :code;

-- name: give_code_back
-- does: gives a user without a code the previous one back, if no other user owns it
UPDATE sync_customers SET referral_code = :code
WHERE source_id = :user_id AND referral_code IS NULL
    AND NOT EXISTS (SELECT 1 FROM sync_customers AS other WHERE other.referral_code = :code);
