{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type'],
    meta={'rows': 'tables'},
    tags=['every_raw_table'],
) }}

-- How much of each object type HubSpot has today, as far as it could be read.
{% for relation in raw_object_tables() if is_to_be_counted(relation) %}
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
having {{ is_to_be_counted(source('hubspot_raw', 'associations')) }}
