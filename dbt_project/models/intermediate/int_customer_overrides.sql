-- What a person has overruled by hand, per customer. Deny wins over grant; one
-- without an end is not in force, and int_findings says so. A merge carries an override
-- to the survivor, whose own, while in force, wins.
with ends as (
    select
        object_id,
        property,
        value
    from {{ ref('stg_hubspot__policy_values') }}
    where object_type = 'companies' and kind = 'date'
),

policy as (
    select * from {{ ref('access_overrides') }}
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

clock as (
    select * from {{ ref('int_clock') }}
),

overrides as (
    select
        coalesce(aliases.survivor_id, choices.object_id) as customer_id,
        choices.object_id,
        policy.effect,
        policy.access_level,
        policy.property,
        choices.value,
        policy.date_property,
        ends.value as ends_value,
        {{ as_timestamp('ends.value') }} as ends_at,
        choices.updated_at
    from {{ ref('stg_hubspot__policy_values') }} as choices
    inner join policy
        on
            choices.property = policy.property
            and lower(choices.value) = lower(policy.value)
    left join ends
        on
            choices.object_id = ends.object_id
            and policy.date_property = ends.property
    left join aliases on choices.object_id = aliases.alias_id
    where
        choices.object_type = 'companies'
        and choices.kind = 'text'
        and choices.record_state in ('live', 'archived', 'missing', 'merged')
        and (choices.record_state <> 'merged' or aliases.survivor_id is not null)
),

ranked as (
    select
        overrides.*,
        coalesce(overrides.ends_at > clock.now_at, false) as is_in_force,
        row_number() over (
            partition by overrides.customer_id
            order by
                case when overrides.ends_at > clock.now_at then 0 else 1 end,
                case when overrides.object_id = overrides.customer_id then 0 else 1 end,
                overrides.effect asc,
                overrides.ends_at desc nulls last,
                overrides.property asc,
                overrides.object_id asc
        ) as preference
    from overrides
    cross join clock
)

select
    customer_id,
    object_id,
    effect,
    access_level,
    property,
    value,
    date_property,
    ends_value,
    ends_at,
    is_in_force,
    updated_at
from ranked
where preference = 1
