-- The last runs, newest first; how long each took.
select
    *,
    extract(epoch from finished_at - started_at) as seconds
from ops.sync_runs
order by started_at desc
limit 100
