{{ config(
    materialized='incremental',
    incremental_strategy='merge_changed',
    unique_key='finding_id',
    merge_exclude_columns=['first_seen_at'],
    full_refresh=false,
    on_schema_change='append_new_columns',
    post_hook="delete from {{ this }} where finding_id not in (select findings.finding_id from {{ ref('int_findings') }} as findings)",
) }}

-- What in HubSpot needs a person, for as long as it does.
with findings as (
    select * from {{ ref('int_findings') }}
)

select
    finding_id,
    severity,
    kind,
    title,
    object_type,
    object_id,
    customer_id,
    what_to_do,
    owner_name,
    owner_email,
    hubspot_url,
    {{ now() }} as first_seen_at,
    {{ now() }} as last_seen_at
from findings
