-- Values that say nothing because nobody can read them or knows what they mean.
with unparsable as (
    select * from {{ ref('stg_hubspot__unparsable_values') }}
),

policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    where kind = 'text' and record_state = 'live'
),

signals as (
    select * from {{ ref('churn_signals') }}
    where property is not null
),

unmapped_signals as (
    select
        policy_values.object_type,
        policy_values.object_id,
        policy_values.property,
        policy_values.value
    from policy_values
    left join signals
        on
            policy_values.object_type = signals.object_type
            and policy_values.property = signals.property
            and lower(policy_values.value) = lower(signals.value)
    where
        signals.code is null
        and policy_values.object_type || '.' || policy_values.property in (
            select known.object_type || '.' || known.property from signals as known
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
    || 'changes nothing: give it a row in seeds/churn_signals.csv.' as what_to_do
from unmapped_signals
