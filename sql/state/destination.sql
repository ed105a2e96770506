-- Which Rehook the calls of the sync-state went to.

-- name: read_destination
-- does: gives the Rehook that the tables belong to, and whether a call was sent there, or may have been; no row: none yet
SELECT d.api_url, d.key_fingerprint, d.bound_at, EXISTS (
    SELECT 1 FROM sync_state AS s WHERE s.status IN ('sent', 'in_doubt', 'sending')
) AS is_used
FROM sync_destination AS d;

-- name: has_sent
-- does: tells whether a call was sent, or may have been
SELECT EXISTS (SELECT 1 FROM sync_state AS s WHERE s.status IN ('sent', 'in_doubt', 'sending'));

-- name: forget_destination
-- does: makes room for another Rehook
DELETE FROM sync_destination;

-- name: bind_destination
-- does: records the Rehook that the tables belong to
-- words: now
INSERT INTO sync_destination (api_url, key_fingerprint, bound_at) VALUES (:api_url, :key_fingerprint, {now});
