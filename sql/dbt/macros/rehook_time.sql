{# A moment as a timestamp with its zone. A time without a zone is in UTC, whatever the session's zone is; on an adapter that is not named
   here it is in the session's zone. #}
{% macro rehook_time(column) %}{{ return(adapter.dispatch('rehook_time', 'rehook_sync')(column)) }}{% endmacro %}

{% macro default__rehook_time(column) %}cast({{ column }} as timestamp with time zone){% endmacro %}

{% macro postgres__rehook_time(column) -%}
    case when pg_typeof({{ column }}) = cast('timestamp' as regtype)
        then cast({{ column }} as timestamp) at time zone 'UTC'
        else cast({{ column }} as timestamp with time zone) end
{%- endmacro %}

{# Redshift cannot tell a column's type. As text, a time with a zone ends in it: 2026-11-01 12:00:00+00. #}
{% macro redshift__rehook_time(column) -%}
    cast(cast({{ column }} as varchar)
        || case when cast({{ column }} as varchar) like '%:%+%' or cast({{ column }} as varchar) like '%:%-%' then '' else '+00' end
        as timestamp with time zone)
{%- endmacro %}

{# SQLite keeps times as text. What is no time is NULL, as it is for the sync. #}
{% macro duckdb__rehook_time(column) -%}
    coalesce(
        try_cast(cast({{ column }} as varchar) || '+00' as timestamp with time zone),
        try_cast(cast({{ column }} as varchar) as timestamp with time zone))
{%- endmacro %}

{# Counted from 1970 in UTC, whether the column has a zone or not. #}
{% macro snowflake__rehook_time(column) %}to_timestamp_tz(date_part('epoch_microsecond', {{ column }}), 6){% endmacro %}

{% macro bigquery__rehook_time(column) %}cast({{ column }} as timestamp){% endmacro %}

{% macro databricks__rehook_time(column) -%}
    case when typeof({{ column }}) = 'timestamp_ntz'
        then cast(concat(cast({{ column }} as string), '+00:00') as timestamp)
        else cast({{ column }} as timestamp) end
{%- endmacro %}

{# The first moment of a day in UTC. #}
{% macro rehook_midnight(day) %}{{ return(adapter.dispatch('rehook_midnight', 'rehook_sync')(day)) }}{% endmacro %}

{% macro default__rehook_midnight(day) %}cast('{{ day }} 00:00:00+00' as timestamp with time zone){% endmacro %}

{% macro snowflake__rehook_midnight(day) %}to_timestamp_tz('{{ day }} 00:00:00 +00:00', 'YYYY-MM-DD HH24:MI:SS TZH:TZM'){% endmacro %}

{% macro bigquery__rehook_midnight(day) %}cast('{{ day }} 00:00:00+00' as timestamp){% endmacro %}

{% macro databricks__rehook_midnight(day) %}cast('{{ day }} 00:00:00+00:00' as timestamp){% endmacro %}

{# The day of a moment, in UTC. #}
{% macro rehook_day(moment) %}{{ return(adapter.dispatch('rehook_day', 'rehook_sync')(moment)) }}{% endmacro %}

{% macro default__rehook_day(moment) %}cast({{ moment }} at time zone 'UTC' as date){% endmacro %}

{% macro snowflake__rehook_day(moment) %}cast(convert_timezone('UTC', {{ moment }}) as date){% endmacro %}

{% macro bigquery__rehook_day(moment) %}date({{ moment }}, 'UTC'){% endmacro %}

{% macro databricks__rehook_day(moment) %}cast(to_utc_timestamp({{ moment }}, current_timezone()) as date){% endmacro %}

{# Seconds from one moment to another, with fractions. #}
{% macro rehook_seconds(since, until) %}{{ return(adapter.dispatch('rehook_seconds', 'rehook_sync')(since, until)) }}{% endmacro %}

{% macro default__rehook_seconds(since, until) -%}
    cast(extract(epoch from {{ until }}) - extract(epoch from {{ since }}) as double precision)
{%- endmacro %}

{% macro snowflake__rehook_seconds(since, until) -%}
    cast(datediff('microsecond', {{ since }}, {{ until }}) as double precision) / 1000000
{%- endmacro %}

{% macro bigquery__rehook_seconds(since, until) %}timestamp_diff({{ until }}, {{ since }}, microsecond) / 1000000{% endmacro %}

{% macro databricks__rehook_seconds(since, until) %}cast(unix_micros({{ until }}) - unix_micros({{ since }}) as double) / 1000000{% endmacro %}

{# A moment as a text that keeps its microseconds. #}
{% macro rehook_time_text(moment) %}{{ return(adapter.dispatch('rehook_time_text', 'rehook_sync')(moment)) }}{% endmacro %}

{% macro default__rehook_time_text(moment) %}cast({{ moment }} as {{ dbt.type_string() }}){% endmacro %}

{# How a session writes times is a setting of it, which mostly stops at milliseconds. #}
{% macro snowflake__rehook_time_text(moment) %}to_varchar(date_part('epoch_microsecond', {{ moment }})){% endmacro %}

{# Whether a row was received on a day or later, the day beginning in UTC. The column is compared as it is first, a day earlier to be safe
   in any zone, so that the warehouse can use its sort key. #}
{% macro rehook_since(column, day) -%}
    {{ column }} >= '{{ modules.datetime.date.fromisoformat(day) - modules.datetime.timedelta(days=1) }}'
        and {{ rehook_time(column) }} >= {{ rehook_midnight(day) }}
{%- endmacro %}
