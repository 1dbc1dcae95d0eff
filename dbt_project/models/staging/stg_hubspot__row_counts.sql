{{ config(tags=["every_raw_table"]) }}
-- How much of each object type HubSpot has today, as far as it could be read.
{% for relation in raw_object_tables() %}
    select
        '{{ relation.identifier }}' as object_type,
        count(*) as live_rows
    from {{ relation }}
    where _state = 'live'
    union all
{% endfor %}
select
    'associations' as object_type,
    count(*) as live_rows
from {{ source('hubspot_raw', 'associations') }}
