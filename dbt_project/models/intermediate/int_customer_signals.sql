-- Churn and pause evidence per customer, with the day from which it counts: the date
-- property, else the deal's close date, else the day it was first seen (later edits of
-- the record do not move it), else HubSpot's last change.
with signals as (
    select * from {{ ref('int_deal_signals') }}
    union all
    select * from {{ ref('int_property_signals') }}
),

dates as (
    select
        object_type,
        object_id,
        property,
        {{ as_date('value') }} as day
    from {{ ref('stg_hubspot__policy_values') }}
    where kind = 'date'
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
),

seen as (
    select * from {{ ref('int_signals_before_run') }}
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
    cast(coalesce(
        dates.day,
        cast(owned.closed_at at time zone 'UTC' as date),
        seen.first_seen_on,
        -- At once, also where HubSpot's clock is already on the next day.
        least(cast(owned.updated_at at time zone 'UTC' as date), clock.today)
    ) as date) as effective_on
from owned
cross join {{ ref('int_clock') }} as clock
left join dates
    on
        owned.object_type = dates.object_type
        and owned.object_id = dates.object_id
        and owned.date_property = dates.property
left join seen
    on
        owned.object_type = seen.object_type
        and owned.object_id = seen.object_id
        and owned.property = seen.property
        and owned.value = seen.value
where owned.customer_id is not null
