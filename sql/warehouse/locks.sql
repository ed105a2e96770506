-- Who keeps readers out.

-- name: list_locks
-- does: lists who has locked a table of the source against readers, or waits to, and the processes that the waiting wait for
-- dialect: postgresql
SELECT c.relname AS table_name, l.pid, a.usename, a.application_name,
    CASE WHEN NOT l.granted THEN ARRAY_TO_STRING(PG_BLOCKING_PIDS(l.pid), ', ') END AS blockers
FROM pg_locks AS l
    JOIN pg_class AS c ON c.oid = l.relation
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = CURRENT_DATABASE())
    AND n.nspname = COALESCE(CAST(:schema AS text), CURRENT_SCHEMA())
ORDER BY l.granted DESC, c.relname;

-- name: read_activity
-- does: tells whether a session of ours is at work or was a moment ago; false if it waits for us, no row if it has ended
-- dialect: postgresql
SELECT (a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client')
    OR a.state_change > CLOCK_TIMESTAMP() - CAST(:silence_s AS double precision) * INTERVAL '1 second'
FROM pg_stat_activity AS a WHERE a.pid = :pid;

-- name: cancel_read
-- does: ends the statement of a session of ours that nobody waits for any more
-- dialect: postgresql
SELECT PG_CANCEL_BACKEND(:pid);
