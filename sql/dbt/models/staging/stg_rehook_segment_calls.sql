{% set cursor = var('rehook_cursor_column') -%}
{% set tracks = source('segment', 'tracks') -%}
{% set tables = [('identifies', 'null', source('segment', 'identifies')), ('tracks', var('rehook_event_name'), tracks)] -%}
{% for table, event in var('rehook_other_calls').items() -%}
{% do tables.append((rehook_stream(table), rehook_text(event), (tracks | string).rsplit(tracks.identifier, 1) | join(table))) -%}
{% endfor -%}
with loaded as (
    {% for stream, event, table in tables -%}
    select
        '{{ stream }}' as stream,
        cast(id as {{ dbt.type_string() }}) as message_id,
        cast(user_id as {{ dbt.type_string() }}) as user_id,
        cast({{ event }} as {{ dbt.type_string() }}) as event,
        {{ rehook_time(cursor) }} as received_at
    from {{ table }}
    {% if var('rehook_coverage_since') -%}
    where {{ rehook_since(cursor, var('rehook_coverage_since') | string) }}
    {% endif -%}
    {% if not loop.last %}union all
    {% endif -%}
    {% endfor %}
),

told_apart as (
    select
        stream,
        coalesce({{ rehook_trimmed('message_id') }}, '') = '' or {{ rehook_byte_length('message_id') }} > 2048 as is_nameless,
        message_id,
        user_id,
        event,
        received_at
    from loaded
)

select
    message_id as call_key,
    stream,
    message_id,
    min(event) as event,
    min(received_at) as received_at,
    count(*) as loads
from told_apart
where not is_nameless
group by stream, message_id
union all
select
    {{ rehook_nameless_key('received_at', 'user_id, event') }} as call_key,
    stream,
    min(message_id) as message_id,
    event,
    received_at,
    count(*) as loads
from told_apart
where is_nameless
group by stream, user_id, event, received_at
