-- What waits for a person, or is ignored because one said so: a finding per reason,
-- not per customer; only protected customers are named one by one.
with holds as (
    select
        holds.*,
        holds.hold_reason in ('REJECTED', 'UNDONE') as is_refused
    from {{ ref('int_breaker_holds') }} as holds
    where
        holds.hold_reason in ('REJECTED', 'UNDONE')
        or not exists (select 1 from {{ ref('int_approval_in_force') }})
),

losses as (
    select losses.*
    from {{ ref('int_extract_losses') }} as losses
    left join {{ ref('int_refusals') }} as refusals
        on losses.change_id = refusals.change_id
    where
        losses.is_lost
        and (
            refusals.change_id is not null
            or not exists (select 1 from {{ ref('int_approval_in_force') }})
        )
),

plan as (
    select * from {{ ref('int_plan_id') }}
),

by_reason as (
    select
        hold_reason,
        is_refused,
        case when hold_reason = 'PROTECTED' then customer_id end as customer_id,
        count(*) as changes,
        min(hold_detail) as hold_detail
    from holds
    group by
        hold_reason,
        is_refused,
        case when hold_reason = 'PROTECTED' then customer_id end
)

select
    case when by_reason.is_refused then 'info' else 'error' end as severity,
    case
        when by_reason.is_refused then 'CHANGE_REFUSED' else 'CHANGE_HELD'
    end as kind,
    'companies' as object_type,
    by_reason.customer_id as object_id,
    by_reason.hold_reason as detail,
    case
        when by_reason.is_refused
            then
                by_reason.changes || ' changes of access are ignored, because a person '
                || case by_reason.hold_reason
                    when 'UNDONE' then 'undid' else 'rejected'
                end || ' them; each is considered anew when its evidence changes.'
        else
            by_reason.changes || ' changes of access are held ('
            || by_reason.hold_reason || '). ' || by_reason.hold_detail
            || ' See hubsync plan, then hubsync approve ' || plan.plan_id
            || ' or hubsync reject ' || plan.plan_id || '.'
    end as what_to_do
from by_reason
cross join plan
union all
select
    'error' as severity,
    'EXTRACT_HELD' as kind,
    losses.object_type,
    cast(null as text) as object_id,
    'EXTRACT_GUARD' as detail,
    losses.detail || ' Restore what is missing in HubSpot, or if it is right: '
    || 'hubsync approve ' || plan.plan_id || '.' as what_to_do
from losses
cross join plan
