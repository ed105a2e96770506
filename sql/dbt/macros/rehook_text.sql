{# A text as a literal. #}
{% macro rehook_text(text) %}{{ return(adapter.dispatch('rehook_text', 'rehook_sync')(text)) }}{% endmacro %}

{% macro default__rehook_text(text) %}{{ return("'" ~ text | replace("'", "''") ~ "'") }}{% endmacro %}

{# To these a backslash is an escape. #}
{% macro rehook_escaped_text(text) %}{{ return("'" ~ text | replace("\\", "\\\\") | replace("'", "\\'") ~ "'") }}{% endmacro %}

{% macro snowflake__rehook_text(text) %}{{ return(rehook_sync.rehook_escaped_text(text)) }}{% endmacro %}

{% macro bigquery__rehook_text(text) %}{{ return(rehook_sync.rehook_escaped_text(text)) }}{% endmacro %}

{% macro databricks__rehook_text(text) %}{{ return(rehook_sync.rehook_escaped_text(text)) }}{% endmacro %}

{# A text without the blanks around it: space, tab and the ends of lines. #}
{% macro rehook_trimmed(text) %}{{ return(adapter.dispatch('rehook_trimmed', 'rehook_sync')(text)) }}{% endmacro %}

{% macro default__rehook_trimmed(text) %}trim({{ text }}, {{ rehook_blanks() }}){% endmacro %}

{% macro redshift__rehook_trimmed(text) %}btrim({{ text }}, {{ rehook_blanks() }}){% endmacro %}

{% macro databricks__rehook_trimmed(text) %}btrim({{ text }}, {{ rehook_blanks() }}){% endmacro %}

{% macro rehook_blanks() %}{{ return(dbt.concat(["' '", 'chr(9)', 'chr(10)', 'chr(13)'])) }}{% endmacro %}

{# How many bytes of UTF-8 a text has. #}
{% macro rehook_byte_length(text) %}{{ return(adapter.dispatch('rehook_byte_length', 'rehook_sync')(text)) }}{% endmacro %}

{% macro default__rehook_byte_length(text) %}octet_length({{ text }}){% endmacro %}

{% macro duckdb__rehook_byte_length(text) %}octet_length(encode({{ text }})){% endmacro %}

{% macro snowflake__rehook_byte_length(text) %}bit_length({{ text }}) / 8{% endmacro %}

{# The type of whole numbers that are large. #}
{% macro rehook_bigint() %}{{ return(adapter.dispatch('rehook_bigint', 'rehook_sync')()) }}{% endmacro %}

{% macro default__rehook_bigint() %}bigint{% endmacro %}

{% macro bigquery__rehook_bigint() %}int64{% endmacro %}
