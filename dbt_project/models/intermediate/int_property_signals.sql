{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
) }}

-- Records with a property value that policy calls churn or pause evidence, and what
-- they say of its day.
with policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    {{ only_rows_to_build() }}
),

policy as (
    select * from {{ ref('churn_signals') }}
    where property is not null and effect <> 'none'
)

select
    policy.code,
    policy.effect,
    policy.date_property,
    dates.value as date_value,
    dates.day,
    policy_values.object_type,
    policy_values.object_id,
    policy_values.property,
    policy_values.value,
    cast(null as timestamptz) as closed_at,
    policy_values.updated_at
from policy_values
inner join policy
    on
        policy_values.object_type = policy.object_type
        and policy_values.property = policy.property
        and lower(policy_values.value) = lower(policy.value)
left join policy_values as dates
    on
        policy_values.object_type = dates.object_type
        and policy_values.object_id = dates.object_id
        and policy.date_property = dates.property
        and dates.kind = 'date'
where
    policy_values.kind = 'text'
    and policy_values.record_state in ('live', 'archived', 'missing')
