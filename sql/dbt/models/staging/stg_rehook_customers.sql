select
    source_id as user_id,
    referral_code,
    accepted_code,
    {{ rehook_time('first_sent_at') }} as first_sent_at,
    {{ rehook_time('last_sent_at') }} as last_sent_at,
    last_message_id
from {{ source('rehook_sync', 'sync_customers') }}
