-- Changes that a person refused or undid, for as long as nothing newer was decided
-- about the same change.
with approvals as (
    select * from {{ ref('int_approvals_before_run') }}
    where decision in ('approved', 'rejected', 'undone')
),

changes as (
    select * from {{ ref('int_approval_changes_before_run') }}
),

ranked as (
    select
        changes.change_id,
        changes.lapsed_at,
        approvals.decision,
        approvals.decided_by,
        approvals.decided_at,
        row_number() over (
            partition by changes.change_id
            order by approvals.decided_at desc, approvals.decision desc
        ) as age
    from changes
    inner join approvals
        on
            changes.plan_id = approvals.plan_id
            and changes.decided_at = approvals.decided_at
)

select
    change_id,
    decision,
    decided_by,
    decided_at
from ranked
where age = 1 and decision in ('rejected', 'undone') and lapsed_at is null
