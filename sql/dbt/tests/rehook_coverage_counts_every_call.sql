{# Every call of the warehouse is counted once, and every load of it. #}
with counted as (
    select coalesce(sum(calls), 0) as calls, coalesce(sum(loads), 0) as loads from {{ ref('rehook_coverage') }}
),

there as (
    select count(*) as calls, coalesce(sum(loads), 0) as loads from {{ ref('stg_rehook_segment_calls') }}
)

select counted.calls, counted.loads, there.calls as calls_there, there.loads as loads_there
from counted cross join there
where counted.calls <> there.calls or counted.loads <> there.loads
