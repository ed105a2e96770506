-- Which Rehook the calls of the sync-state went to.

-- name: read_destination
-- does: gives the Rehook that the tables belong to; no row: none yet
SELECT d.api_url, d.key_fingerprint, d.bound_at FROM sync_destination AS d;

-- name: has_sent
-- does: tells whether a call, or a customer's traits by a refresh, was sent or may have been
-- Looks run by run, by an index: where nothing was ever sent, all calls would be read. A planner makes no join of one value.
SELECT EXISTS (
    SELECT 1 FROM sync_runs AS r
    WHERE (r.kind = 'refresh' AND (r.requests > 1 OR r.status IN ('crashed', 'running')))
        OR (SELECT 1 FROM sync_state AS s WHERE s.run_id = r.run_id AND s.status IN ('sent', 'in_doubt', 'sending') LIMIT 1) = 1);

-- name: forget_destination
-- does: makes room for another Rehook
DELETE FROM sync_destination;

-- name: bind_destination
-- does: records the Rehook that the tables belong to
-- words: now
INSERT INTO sync_destination (api_url, key_fingerprint, bound_at) VALUES (:api_url, :key_fingerprint, {now});
