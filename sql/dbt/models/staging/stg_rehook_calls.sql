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
        cast(http_status as integer) as http_status,
        cast(attempts as integer) as attempts,
        sent_as,
        run_id,
        {{ rehook_time('first_seen_at') }} as first_seen_at,
        {{ rehook_time('settled_at') }} as settled_at
    from {{ source('rehook_sync', 'sync_state') }}
)

select
    {{ rehook_call_key('message_id', 'received_at', "message_id like 'null-id:%'", 'message_id') }} as call_key,
    calls.*
from calls
