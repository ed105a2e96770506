{# The stream that the table of other calls is: see docs/sources.md. #}
{% macro rehook_stream(table) -%}
{% set name = table | lower -%}
{{ return(name[:-5] if name.endswith('_view') else name) }}
{%- endmacro %}
