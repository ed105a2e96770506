{# What tells a call from the others of its stream: its message id. A row without a usable id is recorded under a hash of its content,
   which SQL cannot make again; such rows are told apart by when they were received, and counted within the same instant. #}
{% macro rehook_call_key(message_id, received_at, nameless, order_by) -%}
    case when {{ nameless }}
        then 'null-id:' || coalesce(cast({{ received_at }} as {{ dbt.type_string() }}), 'no time') || ':'
            || cast(row_number() over (partition by stream, {{ nameless }}, {{ received_at }} order by {{ order_by }})
                as {{ dbt.type_string() }})
        else {{ message_id }} end
{%- endmacro %}
