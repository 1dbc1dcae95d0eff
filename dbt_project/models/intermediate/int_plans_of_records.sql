{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
) }}

-- The most generous plan that a record's own properties name.
with policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    {{ only_rows_to_build() }}
),

plans as (
    select * from {{ ref('plans') }}
),

levels as (
    select * from {{ ref('access_levels') }}
),

matched as (
    select
        policy_values.object_type,
        policy_values.object_id,
        plans.plan_code,
        plans.access_level,
        levels.rank,
        row_number() over (
            partition by policy_values.object_type, policy_values.object_id
            order by levels.rank desc, plans.plan_code asc
        ) as preference
    from policy_values
    inner join plans
        on
            policy_values.object_type = plans.object_type
            and policy_values.property = plans.property
            and lower(policy_values.value) = lower(plans.value)
    inner join levels on plans.access_level = levels.access_level
    where policy_values.kind = 'text'
)

select
    object_type,
    object_id,
    plan_code,
    access_level,
    rank
from matched
where preference = 1
