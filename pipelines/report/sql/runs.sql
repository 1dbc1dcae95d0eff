-- The last runs, newest first; how long each took. All columns, since a database may
-- be older than the newest of them.
select
    *, -- noqa: AM04
    extract(epoch from finished_at - started_at) as seconds
from ops.sync_runs
order by started_at desc
limit 100
