-- What publishing would change, one row per customer, and what of it waits for a
-- person.
with changes as (
    select * from {{ ref('int_access_changes') }}
),

holds as (
    select * from {{ ref('int_breaker_holds') }}
),

approval as (
    select * from {{ ref('int_approval_in_force') }}
),

plan as (
    select * from {{ ref('int_plan_id') }}
),

decided as (
    select
        changes.*,
        plan.plan_id,
        holds.hold_reason,
        holds.hold_detail,
        coalesce(
            approval.plan_id is not null
            and holds.hold_reason not in ('REJECTED', 'UNDONE'),
            false
        ) as is_released,
        approval.plan_id as approval_id,
        approval.decided_by as approved_by
    from changes
    cross join plan
    left join holds on changes.customer_id = holds.customer_id
    left join approval on true
)

select
    plan_id,
    change_id,
    customer_id,
    name,
    action,
    change_class,
    reason_code,
    from_level,
    to_level,
    from_enabled,
    to_enabled,
    evidence,
    lapsed_at,
    hold_reason is not null and not is_released as held,
    case when not is_released then hold_reason end as hold_reason,
    case when not is_released then hold_detail end as hold_detail,
    case when is_released then approval_id end as approval_id,
    case when is_released then approved_by end as approved_by
from decided
