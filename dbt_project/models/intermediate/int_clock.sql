-- One instant for the whole run, so that no two models disagree about today.
with instant as (
    select {{ now() }} as now_at
)

select
    now_at,
    cast(now_at at time zone 'UTC' as date) as today
from instant
