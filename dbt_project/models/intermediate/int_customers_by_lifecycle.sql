{{ config(
    materialized='rebuilt_rows',
    unique_key=['customer_id'],
    meta={'rows': 'companies'},
) }}

-- Companies whose lifecycle stage says that they are customers.
select distinct policy_values.object_id as customer_id
from {{ ref('stg_hubspot__policy_values') }} as policy_values
inner join {{ ref('customer_lifecycle_stages') }} as policy
    on
        policy_values.object_type = policy.object_type
        and policy_values.property = policy.property
        and lower(policy_values.value) = lower(policy.value)
where
    policy_values.object_type = 'companies'
    and policy_values.record_state = 'live'
{{ and_only_rows_to_build('policy_values.object_id') }}
