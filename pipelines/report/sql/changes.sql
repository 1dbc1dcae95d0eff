-- The last changes of each customer that the search knows, newest first, under the id
-- that carries on. Not of those, nearly all, whose access is as the first publication
-- gave it.
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
        events.approved_by,
        events.run_id
    from app.access_events as events
    left join app.customer_aliases as aliases
        on events.customer_id = aliases.alias_id
),

later as (
    select customer_id
    from events
    where
        from_enabled is not null
        or run_id <> (
            select oldest.run_id
            from app.access_events as oldest
            order by oldest.event_id
            limit 1
        )
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id order by event_id desc
        ) as age
    from events
    where customer_id in (select later.customer_id from later)
)

select
    ranked.customer_id,
    ranked.occurred_at,
    ranked.from_level,
    ranked.to_level,
    ranked.from_enabled,
    ranked.to_enabled,
    ranked.reason_code,
    ranked.approved_by
from ranked
inner join app.customers as customers on ranked.customer_id = customers.customer_id
where ranked.age <= 5 and customers.record_state <> 'merged'
order by ranked.customer_id, ranked.age
