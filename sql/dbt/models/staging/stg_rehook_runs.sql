select
    runs.run_id,
    kind,
    {{ rehook_trigger() }} as started_by,
    {% if var('rehook_published') -%}
    status,
    {% else -%}
    case when status = 'running' and not exists (
        select 1 from {{ source('rehook_sync', 'sync_lease') }} as lease
        where lease.name = 'run' and lease.run_id = runs.run_id and {{ rehook_time('lease.expires_at') }} > {{ dbt.current_timestamp() }}
    ) then 'crashed' else status end as status,
    {% endif -%}
    {{ rehook_time('since_at') }} as since_at,
    {{ rehook_time('until_at') }} as until_at,
    {{ rehook_time('started_at') }} as started_at,
    {{ rehook_time('finished_at') }} as finished_at,
    {{ rehook_seconds(rehook_time('started_at'), rehook_time('finished_at')) }} as duration_s,
    {% for count in ['rows_read', 'sent', 'unchanged', 'merged', 'skipped', 'rejected', 'failed', 'waiting', 'in_doubt', 'requests'] -%}
    cast({{ count }} as {{ rehook_bigint() }}) as {{ count }},
    {% endfor -%}
    error,
    version
from {{ source('rehook_sync', 'sync_runs') }} as runs
