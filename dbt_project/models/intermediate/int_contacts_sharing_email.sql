{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'addresses'},
) }}

-- depends_on: {{ ref('int_addresses_touched') }}
-- Live contacts whose address another one has too, which HubSpot mostly prevents.
with contacts as (
    select
        contact_id,
        lower(email) as email
    from {{ ref('int_contacts') }}
    where
        record_state = 'live'
        and email is not null
    {{ and_only_rows_to_build('lower(email)') }}
)

select
    contact_id,
    email
from contacts
where email in (
    select several.email
    from contacts as several
    group by several.email
    having count(*) > 1
)
