{% test rehook_adds_up(model, total, parts) %}
select *
from {{ model }}
where cast({{ total }} as {{ dbt.type_bigint() }}) <> {% for part in parts %}cast({{ part }} as {{ dbt.type_bigint() }}){{ ' + ' if not loop.last }}{% endfor %}
{% endtest %}
