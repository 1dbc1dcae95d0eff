{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
) }}

-- Values that say nothing because nobody can read them or knows what they mean.
with unparsable as (
    select * from {{ ref('stg_hubspot__unparsable_values') }}
    {{ only_rows_to_build() }}
),

policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    where
        kind = 'text'
        and record_state = 'live'
    {{ and_only_rows_to_build() }}
),

-- The seeds that mean to know every value. A status of a subscription that is not in
-- its seed is a finding of its own, and a plan is told by many properties.
policy as (
    select
        'churn_signals' as seed,
        object_type,
        property,
        value
    from {{ ref('churn_signals') }}
    union all
    select
        'access_overrides' as seed,
        object_type,
        property,
        value
    from {{ ref('access_overrides') }}
    union all
    select
        'parent_access' as seed,
        object_type,
        property,
        value
    from {{ ref('parent_access') }}
),

read as (
    select
        object_type,
        property,
        min(seed) as seed
    from policy
    where property is not null and property <> 'hs_object_id'
    group by object_type, property
),

unmapped as (
    select
        policy_values.object_type,
        policy_values.object_id,
        policy_values.property,
        policy_values.value,
        read.seed
    from policy_values
    inner join read
        on
            policy_values.object_type = read.object_type
            and policy_values.property = read.property
    where not exists (
        select 1 from policy
        where
            policy_values.object_type = policy.object_type
            and policy_values.property = policy.property
            and lower(policy_values.value) = lower(policy.value)
    )
)

select
    'warning' as severity,
    'UNPARSABLE_VALUE' as kind,
    object_type,
    object_id,
    property as detail,
    'Property ' || property || ' holds "' || value || '", which is no ' || expected
    || '. It is treated as empty: correct it in HubSpot.' as what_to_do
from unparsable
union all
select
    'warning' as severity,
    'VALUE_UNMAPPED' as kind,
    object_type,
    object_id,
    property as detail,
    'Property ' || property || ' is "' || value || '", which policy does not know. It '
    || 'changes nothing: correct it, or give it a row in seeds/' || seed || '.csv.'
        as what_to_do
from unmapped
