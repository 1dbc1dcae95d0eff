{{ config(unique_key='contact_id', meta={'rows': 'people'}) }}
{{ publish_gate() }}

select
    contact_id,
    email,
    first_name,
    last_name,
    phone,
    job_title,
    record_state,
    hubspot_url,
    {{ now() }} as synced_at
from {{ ref('int_contacts') }}
{{ only_rows_to_build() }}
