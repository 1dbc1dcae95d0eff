{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
) }}

-- The dates that policy reads from a deal or commerce subscription, one row each.
with policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    where
        kind = 'date'
    {{ and_only_rows_to_build() }}
),

policy as (
    select * from {{ ref('policy_dates') }}
),

dated as (
    select
        policy_values.object_type,
        policy_values.object_id,
        policy_values.property,
        policy.meaning,
        policy.priority,
        policy_values.day
    from policy_values
    inner join policy
        on
            policy_values.object_type = policy.object_type
            and policy_values.property = policy.property
),

ranked as (
    select
        *,
        row_number() over (
            partition by object_type, object_id, meaning
            order by priority, property
        ) as preference
    from dated
    where day is not null
)

select
    object_type,
    object_id,
    max(case when meaning = 'starts_on' then day end) as starts_on,
    max(case when meaning = 'ends_on' then day end) as ends_on,
    max(case when meaning = 'ends_on' then property end) as ends_on_property,
    max(case when meaning = 'past_due_since' then day end) as past_due_since
from ranked
where preference = 1
group by object_type, object_id
