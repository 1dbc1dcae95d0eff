-- The app's contacts are HubSpot's, value by value.
-- depends_on: {{ ref('access') }}
select
    contact_id,
    email,
    first_name,
    last_name,
    phone,
    job_title,
    record_state
from {{ ref('int_contacts') }}
{{ only_rows_to_build(built='int_contacts') }}
except
select
    contact_id,
    email,
    first_name,
    last_name,
    phone,
    job_title,
    record_state
from {{ ref('contacts') }}
{{ only_rows_to_build(built='int_contacts') }}
