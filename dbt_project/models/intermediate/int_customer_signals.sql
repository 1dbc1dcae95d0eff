-- Churn and pause evidence per customer, with the day from which it counts: the date
-- property, else the deal's close date, else the day it was first seen (later edits of
-- the record do not move it), else HubSpot's last change. A company's date that
-- HubSpot's history shows to be older than the value beside it is left over from an
-- earlier departure: then the value counts from the day it was set.
-- ops.evidence_to_read asks for that history where the two disagree. A deal is lost
-- once, so its date is of that loss.
{#- People are most of what is linked, and policy seldom asks them. -#}
{%- set linked = ['deals'] + policy_properties()
    | map(attribute='object_type') | list %}

with signals as (
    select * from {{ ref('int_deal_signals') }}
    union all
    select * from {{ ref('int_property_signals') }}
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
    where
        object_type in ('{{ linked | unique | join("', '") }}')
        and (object_type, object_id) in (
            select
                signals.object_type,
                signals.object_id
            from signals
        )
),

seen as (
    select * from {{ ref('int_signals_before_run') }}
),

history as (
    {{ before_run('evidence_history', [
        ('object_type', 'text'), ('object_id', 'text'), ('property', 'text'),
        ('value', 'text'), ('changed_at', 'timestamptz'),
    ], schema='ops') }}
),

owned as (
    select
        signals.*,
        case
            when signals.object_type = 'companies' then signals.object_id
            else links.customer_id
        end as customer_id
    from signals
    left join links
        on
            signals.object_type = links.object_type
            and signals.object_id = links.object_id
)

select
    owned.customer_id,
    owned.code,
    owned.effect,
    owned.object_type,
    owned.object_id,
    owned.property,
    owned.value,
    owned.updated_at,
    owned.date_property,
    owned.date_value,
    cast(coalesce(
        case
            when
                owned.object_type = 'companies'
                and cast(date_set.changed_at at time zone 'UTC' as date)
                < cast(value_set.changed_at at time zone 'UTC' as date)
                then greatest(
                    owned.day, cast(value_set.changed_at at time zone 'UTC' as date)
                )
            else owned.day
        end,
        cast(owned.closed_at at time zone 'UTC' as date),
        seen.first_seen_on,
        -- At once, also where HubSpot's clock is already on the next day.
        least(cast(owned.updated_at at time zone 'UTC' as date), clock.today)
    ) as date) as effective_on
from owned
cross join {{ ref('int_clock') }} as clock
left join seen
    on
        owned.object_type = seen.object_type
        and owned.object_id = seen.object_id
        and owned.property = seen.property
        and owned.value = seen.value
left join history as value_set
    on
        owned.object_type = value_set.object_type
        and owned.object_id = value_set.object_id
        and owned.property = value_set.property
        and owned.value = value_set.value
left join history as date_set
    on
        owned.object_type = date_set.object_type
        and owned.object_id = date_set.object_id
        and owned.date_property = date_set.property
        and owned.date_value = date_set.value
where owned.customer_id is not null
