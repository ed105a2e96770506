-- Stretches of time: how many calls each has, and which ids.

-- name: minutes
-- does: follows the beginning of a statement: gives the minute and the id of each call; the LIMIT lets both be computed once
-- dialect: sqlite
-- identifiers: cursor, id
-- words: minute
, minutes AS (SELECT {minute: t.:"cursor"} AS stretch, CAST(t.:"id" AS TEXT) AS id FROM looked_at AS t LIMIT -1)

-- name: minutes_numbers
-- does: does the same where ids may be numbers with decimals
-- dialect: sqlite
-- identifiers: cursor, id
-- words: minute, key_text
, minutes AS (SELECT {minute: t.:"cursor"} AS stretch, {key_text: t.:"id"} AS id FROM looked_at AS t LIMIT -1)

-- name: read_stretches
-- does: gives of each minute, and of the calls without a time, its calls, its ids, their fingerprint: the ids joined, and the minute if it is before the end of a run
-- dialect: sqlite
SELECT stretch, COUNT(*) AS calls, COUNT(id) AS ids, CAST(GROUP_CONCAT(id, CHAR(31)) AS BLOB) AS fingerprint,
    MAX(CASE WHEN stretch <= SUBSTR(:until, 1, 16) THEN stretch END) AS newest
FROM minutes
WHERE stretch >= SUBSTR(:low, 1, 16) OR stretch IS NULL
GROUP BY stretch;

-- name: read_stretches
-- does: gives of each hour, and of the calls without a time, its calls, its ids, their fingerprint, and the newest time before the end of a run
-- words: hour, fingerprint, in_window_or_null
SELECT {hour: rehook_sync__received_at} AS stretch, COUNT(*) AS calls, COUNT(rehook_sync__id) AS ids,
    {fingerprint: rehook_sync__id} AS fingerprint,
    MAX(CASE WHEN rehook_sync__received_at < :until THEN rehook_sync__received_at END) AS newest
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
GROUP BY 1;

-- name: same_snapshot
-- does: lets all statements of this transaction see the same rows; in SQLite they do
-- dialect: postgresql
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

-- name: count_open
-- does: gives of each stretch that has calls which sync_state does not have as settled calls of this source, how many, and how many it does not have at all
-- dialect: sqlite
-- identifiers: recorded
-- words: in_window_or_null
SELECT SUBSTR(calls.rehook_sync__received_at, 1, 13) AS stretch, COUNT(*) AS unsettled, SUM(known.message_id IS NULL) AS unrecorded
FROM calls LEFT JOIN :"recorded" AS known
    ON known.stream = :stream AND known.message_id = calls.rehook_sync__id AND known.source = :source
WHERE {in_window_or_null: calls.rehook_sync__received_at}
    AND (known.status IS NULL OR known.status NOT IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected'))
GROUP BY 1;

-- name: count_open
-- does: gives of each stretch that has calls which sync_state does not have as settled calls of this source, how many, and how many it does not have at all
-- dialect: postgresql
-- identifiers: recorded
-- words: in_window_or_null
-- The source is compared as in count_judged.
SELECT DATE_TRUNC('hour', calls.rehook_sync__received_at) AS stretch, COUNT(*) AS unsettled, COUNT(*) - COUNT(known.message_id) AS unrecorded
FROM calls LEFT JOIN :"recorded" AS known
    ON known.stream = :stream AND known.message_id = calls.rehook_sync__id
    AND COALESCE(known.source = :source, false)
WHERE {in_window_or_null: calls.rehook_sync__received_at}
    AND (known.status IS NULL OR known.status NOT IN ('sent', 'unchanged', 'merged', 'skipped', 'rejected'))
GROUP BY 1;

-- name: list_ids
-- does: gives the time and the id of each call
-- words: in_window_or_null
SELECT rehook_sync__received_at, rehook_sync__id FROM calls WHERE {in_window_or_null: rehook_sync__received_at};

-- name: list_ids_and_stretches
-- does: gives besides what each stretch holds at that moment, where another statement sees another one
-- dialect: bigquery, databricks, snowflake
-- words: in_window_or_null, hour, fingerprint
SELECT rehook_sync__received_at, rehook_sync__id, NULL AS calls, NULL AS ids, NULL AS fingerprint
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
UNION ALL
SELECT {hour: rehook_sync__received_at}, NULL, COUNT(*), COUNT(rehook_sync__id), {fingerprint: rehook_sync__id}
FROM calls
WHERE {in_window_or_null: rehook_sync__received_at}
GROUP BY 1;
