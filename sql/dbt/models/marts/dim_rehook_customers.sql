with calls as (
    select
        user_id,
        count(*) as calls,
        {% for status in rehook_statuses() -%}
        count(case when status = '{{ status }}' then 1 end) as {{ status }},
        {% endfor -%}
        count(case when status = 'sent' and stream <> 'identifies' then 1 end) as events_sent,
        min(occurred_at) as first_call_at,
        max(occurred_at) as last_call_at
    from {{ ref('stg_rehook_calls') }}
    where user_id is not null
    group by user_id
)

select
    coalesce(customers.user_id, calls.user_id) as user_id,
    customers.referral_code,
    customers.first_sent_at,
    customers.last_sent_at,
    customers.first_sent_at is not null as is_customer,
    coalesce(calls.calls, 0) as calls,
    {% for status in rehook_statuses() -%}
    coalesce(calls.{{ status }}, 0) as {{ status }},
    {% endfor -%}
    coalesce(calls.events_sent, 0) as events_sent,
    calls.first_call_at,
    calls.last_call_at,
    coalesce(calls.failed + calls.in_doubt + calls.sending, 0) > 0 as needs_attention
from {{ ref('stg_rehook_customers') }} as customers
full outer join calls on calls.user_id = customers.user_id
