-- Access gained and lost on each of 30 days, in UTC.
with beginning as (
    select run_id
    from app.access_events
    order by event_id
    limit 1
)

select
    cast(events.occurred_at as date) as day,
    sum(case when events.to_enabled then 1 else 0 end) as gained,
    sum(case when events.to_enabled then 0 else 1 end) as lost
from app.access_events as events
cross join beginning
where
    events.occurred_at > now() - interval '30 days'
    and coalesce(events.from_enabled, false) <> events.to_enabled
    and (events.run_id <> beginning.run_id or events.from_enabled is not null)
group by cast(events.occurred_at as date)
order by day
