-- The last changes of each customer, newest first, under the id that carries on.
with events as (
    select
        coalesce(aliases.customer_id, events.customer_id) as customer_id,
        events.event_id,
        events.occurred_at,
        events.from_level,
        events.to_level,
        events.from_enabled,
        events.to_enabled,
        events.reason_code,
        events.approved_by
    from app.access_events as events
    left join app.customer_aliases as aliases
        on events.customer_id = aliases.alias_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id order by event_id desc
        ) as age
    from events
)

select
    customer_id,
    occurred_at,
    from_level,
    to_level,
    from_enabled,
    to_enabled,
    reason_code,
    approved_by
from ranked
where age <= 5
order by customer_id, age
