{% test rehook_adds_up(model, total, parts) %}
select *
from {{ model }}
where cast({{ total }} as bigint) <> {% for part in parts %}cast({{ part }} as bigint){{ ' + ' if not loop.last }}{% endfor %}
{% endtest %}
