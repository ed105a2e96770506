{# What tells a row without a usable id from the others of its stream. Such a row is recorded under a hash of its content, which SQL cannot
   make again; so it goes by when it was received, and is counted within the same instant. All other calls go by their message id. #}
{% macro rehook_nameless_key(received_at, order_by) -%}
    {{ dbt.concat([
        "'null-id:'",
        "coalesce(" ~ rehook_time_text(received_at) ~ ", 'no time')",
        "':'",
        "cast(row_number() over (partition by stream, " ~ received_at ~ " order by " ~ order_by ~ ") as " ~ dbt.type_string() ~ ")",
    ]) }}
{%- endmacro %}
