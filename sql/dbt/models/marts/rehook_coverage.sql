select
    {{ rehook_day('warehouse.received_at') }} as day,
    warehouse.stream,
    warehouse.event,
    cast(sum(warehouse.loads) as {{ rehook_bigint() }}) as loads,
    count(*) as calls,
    {% for status in rehook_statuses() -%}
    count(case when state.status = '{{ status }}' then 1 end) as {{ status }},
    {% endfor -%}
    count(case when state.status is null then 1 end) as not_judged,
    {% for reason in rehook_rejection_reasons() -%}
    count(case when state.status = 'rejected' and state.reason = '{{ reason }}' then 1 end) as rejected_{{ reason }}{{ ',' if not loop.last }}
    {% endfor %}
from {{ ref('stg_rehook_segment_calls') }} as warehouse
left join {{ ref('stg_rehook_calls') }} as state on state.stream = warehouse.stream and state.call_key = warehouse.call_key
group by {{ rehook_day('warehouse.received_at') }}, warehouse.stream, warehouse.event
