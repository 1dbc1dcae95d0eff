-- API calls and runs of each of 30 days, in UTC.
select
    cast(started_at as date) as day,
    sum(api_calls) as api_calls,
    count(*) as runs,
    sum(case when status in ('done', 'running') then 0 else 1 end) as failed
from ops.sync_runs
where started_at > now() - interval '30 days'
group by cast(started_at as date)
order by day
