-- What the sync-state says that Rehook has.

-- name: sample_customers
-- does: gives some customers who were sent, with the codes that Rehook accepted for them, in no order
SELECT source_id, accepted_code FROM sync_customers WHERE last_sent_at IS NOT NULL ORDER BY random() LIMIT :rows;

-- name: read_sent_customers
-- does: gives the codes that Rehook accepted for these customers, and whether they were sent
-- words: ids
SELECT c.source_id, c.accepted_code, c.last_sent_at IS NOT NULL AS is_sent FROM sync_customers AS c
WHERE c.source_id IN (SELECT wanted.value FROM {ids: :ids} AS wanted);
