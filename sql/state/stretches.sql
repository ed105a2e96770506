-- Stretches of the lookback, as they looked when all in them was settled.

-- name: read_stretches
-- does: gives the remembered stretches of a feed
SELECT from_at, rows, fingerprint FROM sync_stretches WHERE source = :source AND stream = :stream;

-- name: remember_stretch
-- does: remembers how a stretch looks
-- words: now
INSERT INTO sync_stretches (source, stream, from_at, rows, fingerprint, settled_at)
VALUES (:source, :stream, :from_at, :rows, :fingerprint, {now})
ON CONFLICT (source, stream, from_at) DO UPDATE SET rows = excluded.rows, fingerprint = excluded.fingerprint, settled_at = excluded.settled_at;

-- name: drop_stretches
-- does: removes the stretches of a feed that lie before the lookback, without the one for calls that have no time
DELETE FROM sync_stretches WHERE source = :source AND stream = :stream AND from_at > :timeless AND from_at < :low;

-- name: list_open
-- does: lists those of these ids that are not settled calls of a feed, and whether they are recorded
-- words: ids
SELECT wanted.value AS message_id, known.message_id IS NOT NULL AS is_recorded
FROM {ids: :ids} AS wanted LEFT JOIN sync_state AS known
    ON known.stream = :stream AND known.message_id = wanted.value AND known.source = :source
WHERE known.status IS NULL OR known.status NOT IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected');
