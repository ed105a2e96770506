{# Each status has as many deliveries as the sync-state tables have calls. #}
with delivered as (
    select status, count(*) as calls from {{ ref('fct_rehook_deliveries') }} group by status
),

judged as (
    select status, count(*) as calls from {{ source('rehook_sync', 'sync_state') }} group by status
)

select delivered.status, delivered.calls, judged.status as judged_status, judged.calls as judged_calls
from delivered full outer join judged on judged.status = delivered.status
where coalesce(delivered.calls, 0) <> coalesce(judged.calls, 0)
