-- The approval that releases what waits, if there is one: unused, not lapsed, not
-- taken back, and of a set that held everything that waits now. One change more, and
-- nobody has seen this set.
with approvals as (
    select * from {{ ref('int_approvals_before_run') }}
),

approved as (
    select * from {{ ref('int_approval_changes_before_run') }}
),

pending as (
    select * from {{ ref('int_pending_changes') }}
),

clock as (
    select * from {{ ref('int_clock') }}
),

matching as (
    select
        approvals.plan_id,
        approvals.decided_by,
        row_number() over (
            order by approvals.decided_at desc, approvals.plan_id asc
        ) as age
    from approvals
    cross join clock
    where
        approvals.decision = 'approved'
        and approvals.used_at is null
        and clock.now_at < approvals.expires_at
        and not exists (
            select 1
            from approvals as later
            where
                later.plan_id = approvals.plan_id
                and later.decision <> 'approved'
                and later.decided_at >= approvals.decided_at
        )
        and not exists (
            select 1
            from pending
            left join approved
                on
                    pending.change_id = approved.change_id
                    and approvals.plan_id = approved.plan_id
                    and approvals.decided_at = approved.decided_at
            where approved.change_id is null
        )
)

select
    plan_id,
    decided_by
from matching
where age = 1 and exists (select 1 from pending)
