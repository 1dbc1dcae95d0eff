-- The last comparison with HubSpot that came to its end.
select
    command,
    status,
    finished_at,
    cast(rows_read as text) as rows_read,
    error
from ops.sync_runs
where
    command in ('reconcile', 'repair')
    and (status = 'done' or error like '%in step.%')
order by started_at desc
limit 1
