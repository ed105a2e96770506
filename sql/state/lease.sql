-- The lease of a run and those of its shards.

-- name: acquire_lease
-- does: takes the lease if it is free or expired, with the next fence; gives no row while somebody holds it
-- words: clock, clock_plus
INSERT INTO sync_lease (name, owner, run_id, fence, expires_at) VALUES (:name, :owner, :run_id, 1, {clock_plus: :ttl_s})
ON CONFLICT (name) DO UPDATE
    SET owner = excluded.owner, run_id = excluded.run_id, fence = sync_lease.fence + 1, expires_at = excluded.expires_at
    WHERE sync_lease.expires_at <= {clock}
RETURNING fence;

-- name: renew_lease
-- does: proves inside a transaction that the lease is ours and extends it; gives no row when it is lost
-- words: clock_plus
UPDATE sync_lease SET expires_at = {clock_plus: :ttl_s}
WHERE name = :name AND owner = :owner AND fence = :fence
RETURNING fence;

-- name: release_lease
-- does: releases the lease; the fence stays, so that no later holder gets the same one
-- words: clock
UPDATE sync_lease SET owner = NULL, run_id = NULL, expires_at = {clock}
WHERE name = :name AND owner = :owner AND fence = :fence;

-- name: read_lease
-- does: tells who holds the lease and until when
SELECT name, owner, run_id, fence, expires_at FROM sync_lease WHERE name = :name;

-- name: retire_shards
-- does: revokes the leases of all shards, so that shards of an earlier run can record nothing more
-- words: clock
UPDATE sync_lease SET owner = NULL, run_id = NULL, fence = fence + 1, expires_at = {clock} WHERE name <> 'run';

-- name: renew_run
-- does: extends the lease of the run that a shard belongs to; gives no row when another run took over
-- dialect: postgresql
-- words: clock_plus
UPDATE sync_lease SET expires_at = greatest(expires_at, {clock_plus: :ttl_s})
WHERE name = 'run' AND run_id = :run_id
RETURNING fence;

-- name: renew_run
-- does: extends the lease of the run that a shard belongs to; gives no row when another run took over
-- dialect: sqlite
-- words: clock_plus
UPDATE sync_lease SET expires_at = max(expires_at, {clock_plus: :ttl_s})
WHERE name = 'run' AND run_id = :run_id
RETURNING fence;

-- name: resume_run
-- does: takes the lease over from another process of the same run, with the next fence; gives no row when another run took over
-- words: clock_plus
UPDATE sync_lease SET owner = :owner, fence = fence + 1, expires_at = {clock_plus: :ttl_s}
WHERE name = 'run' AND run_id = :run_id
RETURNING fence;

-- name: let_go_of_run
-- does: lets another run begin at once; until one does, the shards of this run may go on
-- words: clock
UPDATE sync_lease SET owner = NULL, expires_at = {clock} WHERE name = 'run' AND run_id = :run_id;
