-- Seconds from an edit in HubSpot to its effect, of each of 30 days, in UTC.
select
    cast(published_at as date) as day,
    count(*) as changes,
    percentile_cont(0.5) within group (order by seconds) as median_seconds,
    max(seconds) as slowest_seconds
from ops.access_latency
where published_at > now() - interval '30 days'
group by cast(published_at as date)
order by day
