with calls as (
    select
        stream,
        message_id,
        user_id,
        event,
        {{ rehook_time('received_at') }} as received_at,
        {{ rehook_time('occurred_at') }} as occurred_at,
        status,
        reason,
        detail,
        cast(http_status as {{ dbt.type_int() }}) as http_status,
        cast(attempts as {{ dbt.type_int() }}) as attempts,
        sent_as,
        run_id,
        {{ rehook_time('first_seen_at') }} as first_seen_at,
        {{ rehook_time('settled_at') }} as settled_at,
        source
    from {{ source('rehook_sync', 'sync_state') }}
)

select message_id as call_key, calls.*
from calls
where message_id not like 'null-id:%'
union all
select {{ rehook_nameless_key('received_at', 'message_id') }} as call_key, calls.*
from calls
where message_id like 'null-id:%'
