-- Which calls are read: all, or those that sync_state does not have.

-- name: all_calls
-- does: selects every call
, due AS (SELECT * FROM timed)

-- name: new_calls
-- does: leaves out the calls that sync_state has in the same window or without a time, which are ranges of an index
-- dialect: sqlite
-- identifiers: known
, due AS (
    SELECT * FROM timed
    WHERE timed.rehook_sync__id IS NULL OR timed.rehook_sync__id NOT IN (
        SELECT dated.message_id FROM :"known" AS dated WHERE dated.stream = :stream AND dated.received_at BETWEEN :low AND :high
        UNION ALL
        SELECT undated.message_id FROM :"known" AS undated WHERE undated.stream = :stream AND undated.received_at IS NULL
    )
)

-- name: new_calls
-- does: leaves out the calls that sync_state has in the same window or without a time, which are ranges of an index
-- identifiers: known
, due AS (
    SELECT * FROM timed
    WHERE NOT EXISTS (
        SELECT 1
        FROM (
            SELECT dated.message_id FROM :"known" AS dated WHERE dated.stream = :stream AND dated.received_at >= :low AND dated.received_at < :high
            UNION ALL
            SELECT undated.message_id FROM :"known" AS undated WHERE undated.stream = :stream AND undated.received_at IS NULL
        ) AS judged
        WHERE judged.message_id = timed.rehook_sync__id
    )
)

-- name: new_calls_of_source
-- does: as new_calls, for one of several sources: keeps calls whose id is that of another source's call, which may be another one
-- identifiers: known
-- An index with the source before the time was tried, over 300,000 calls: PostgreSQL reads three sources in 0.14 s of CPU, not
-- in 0.34 s, but one alone in 0.28 s, not in 0.24 s; SQLite gains nothing; inserts for three take a seventh more. It does not pay.
, due AS (
    SELECT * FROM timed
    WHERE NOT EXISTS (
        SELECT 1
        FROM (
            SELECT dated.message_id FROM :"known" AS dated
            WHERE dated.stream = :stream AND dated.source = :source AND dated.received_at >= :low AND dated.received_at < :high
            UNION ALL
            SELECT undated.message_id FROM :"known" AS undated
            WHERE undated.stream = :stream AND undated.source = :source AND undated.received_at IS NULL
        ) AS judged
        WHERE judged.message_id = timed.rehook_sync__id
    )
)

-- name: unjudged_calls
-- does: leaves out every call that sync_state has of this source, by one lookup per call
-- identifiers: known
-- The source is compared as in count_judged.
, due AS (
    SELECT * FROM timed
    WHERE NOT EXISTS (
        SELECT 1 FROM :"known" AS known
        WHERE known.stream = :stream AND known.message_id = timed.rehook_sync__id AND COALESCE(known.source = :source, false)
    )
)

-- name: compare_all_at_once
-- does: keeps the planner, in this transaction, from going through the known calls once for each call: before the sync-state
--       tables are analyzed, it takes them for few
-- dialect: postgresql
SELECT set_config('enable_nestloop', 'off', true), set_config('cursor_tuple_fraction', '1', true);
