-- The first publication: when, and how many customers it gave access to.
select
    min(events.occurred_at) as occurred_at,
    count(*) as customers,
    sum(case when events.to_enabled then 1 else 0 end) as enabled
from app.access_events as events
where
    events.from_enabled is null
    and events.run_id = (
        select oldest.run_id
        from app.access_events as oldest
        order by oldest.event_id
        limit 1
    )
