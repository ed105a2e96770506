{% test rehook_adds_up(model, total, parts) %}
select *
from {{ model }}
where cast({{ total }} as {{ rehook_sync.rehook_bigint() }}) <> {% for part in parts %}cast({{ part }} as {{ rehook_sync.rehook_bigint() }}){{ ' + ' if not loop.last }}{% endfor %}
{% endtest %}
