-- The name of the set that waits for a person; it is the same for as long as the set
-- is. When nothing waits, the name of everything that is planned.
with changes as (
    select change_id from {{ ref('int_access_changes') }}
),

pending as (
    select change_id from {{ ref('int_pending_changes') }}
),

approval as (
    select * from {{ ref('int_approval_in_force') }}
),

named as (
    select pending.change_id
    from pending
    where not exists (select 1 from approval)
    union all
    select changes.change_id
    from changes
    where
        exists (select 1 from approval)
        or not exists (select 1 from pending)
)

select md5(string_agg(change_id, chr(10) order by change_id)) as plan_id
from named
