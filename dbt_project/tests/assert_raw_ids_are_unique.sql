{{ config(tags=["every_raw_table"]) }}
-- One id twice in raw would become two customers, or one customer twice. Of a declared
-- source with a staging model, that model's own test says so; here are all other types,
-- custom objects whatever their name.
{% for relation in raw_object_tables()
    if not (
        'source.' ~ project_name ~ '.hubspot_raw.' ~ relation.identifier in graph.sources
        and 'model.' ~ project_name ~ '.stg_hubspot__' ~ relation.identifier in graph.nodes
    ) %}
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
