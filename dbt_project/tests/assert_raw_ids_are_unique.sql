-- One id twice in raw would become two customers, or one customer twice. Of types that
-- have a staging model, its own test says so; here are those that no source declares.
{% for relation in raw_object_tables()
    if 'model.' ~ project_name ~ '.stg_hubspot__' ~ relation.identifier not in graph.nodes %}
    select
        '{{ relation.identifier }}' as object_type,
        id as object_id,
        count(*) as row_count
    from {{ relation }}
    group by id
    having count(*) > 1 or id is null
    union all
{% endfor %}
select
    object_type,
    cast(null as text) as object_id,
    count(*) as row_count
from {{ source('hubspot_raw', 'object_types') }}
group by object_type
having count(*) > 1
