{# A moment as a timestamp with its zone. A time without a zone is in UTC, whatever the session's zone is. #}
{% macro rehook_time(column) %}{{ return(adapter.dispatch('rehook_time', 'rehook_sync')(column)) }}{% endmacro %}

{% macro postgres__rehook_time(column) -%}
    case when pg_typeof({{ column }}) = cast('timestamp' as regtype)
        then cast({{ column }} as timestamp) at time zone 'UTC'
        else cast({{ column }} as timestamp with time zone) end
{%- endmacro %}

{# SQLite keeps times as text. What is no time is NULL, as it is for the sync. #}
{% macro duckdb__rehook_time(column) -%}
    coalesce(
        try_cast(cast({{ column }} as varchar) || '+00' as timestamp with time zone),
        try_cast(cast({{ column }} as varchar) as timestamp with time zone))
{%- endmacro %}

{# The day of a moment, in UTC. #}
{% macro rehook_day(moment) %}cast({{ moment }} at time zone 'UTC' as date){% endmacro %}

{# Seconds from one moment to another, with fractions. #}
{% macro rehook_seconds(since, until) %}cast(extract(epoch from {{ until }}) - extract(epoch from {{ since }}) as double precision){% endmacro %}

{# A text as octet_length wants it: PostgreSQL counts the bytes of a text, DuckDB those of a blob. #}
{% macro rehook_bytes(text) %}{{ return(adapter.dispatch('rehook_bytes', 'rehook_sync')(text)) }}{% endmacro %}

{% macro postgres__rehook_bytes(text) %}{{ text }}{% endmacro %}

{% macro duckdb__rehook_bytes(text) %}encode({{ text }}){% endmacro %}

{# Whether a row was received on a day or later, the day beginning in UTC. The column is compared as it is first, a day earlier to be safe
   in any zone, so that the warehouse can use its sort key. #}
{% macro rehook_since(column, day) -%}
    {{ column }} >= '{{ modules.datetime.date.fromisoformat(day) - modules.datetime.timedelta(days=1) }}'
        and {{ rehook_time(column) }} >= cast('{{ day }} 00:00:00+00' as timestamp with time zone)
{%- endmacro %}
