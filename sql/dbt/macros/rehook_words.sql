{# What can become of a call, and why one is rejected: the words of the sync-state tables. #}
{% macro rehook_statuses() %}{{ return(['sent', 'unchanged', 'merged', 'skipped', 'rejected', 'failed', 'waiting', 'in_doubt', 'sending']) }}{% endmacro %}

{% macro rehook_rejection_reasons() -%}
    {{ return([
        'missing_user_id', 'anonymous_id_present', 'referral_code_taken', 'missing_referral_code', 'missing_event_name',
        'invalid_row', 'refused_by_rehook', 'forgotten',
    ]) }}
{%- endmacro %}

{# The column that says who started a run. Its name is a word of SQL in Snowflake, and there in capitals as all names are. #}
{% macro rehook_trigger() %}{{ return(adapter.dispatch('rehook_trigger', 'rehook_sync')()) }}{% endmacro %}

{% macro default__rehook_trigger() %}trigger{% endmacro %}

{% macro snowflake__rehook_trigger() %}"TRIGGER"{% endmacro %}
