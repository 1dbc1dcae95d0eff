-- Who gained or lost access in 30 days. Not the first publication: it took the whole
-- portal over, and its size would hide every real change.
with beginning as (
    select run_id
    from app.access_events
    order by event_id
    limit 1
)

select
    events.customer_id,
    customers.name,
    events.occurred_at,
    events.from_level,
    events.to_level,
    events.to_enabled,
    events.reason_code,
    cast(events.evidence as text) as evidence,
    events.approved_by,
    customers.hubspot_url
from app.access_events as events
cross join beginning
left join app.customers as customers
    on events.customer_id = customers.customer_id
where
    events.occurred_at > now() - interval '30 days'
    and coalesce(events.from_enabled, false) <> events.to_enabled
    and (events.run_id <> beginning.run_id or events.from_enabled is not null)
order by events.event_id desc
