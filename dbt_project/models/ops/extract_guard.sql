-- Whether what HubSpot gave today may be published: one row per object type.
with losses as (
    select * from {{ ref('int_extract_losses') }}
),

refusals as (
    select * from {{ ref('int_refusals') }}
),

approval as (
    select * from {{ ref('int_approval_in_force') }}
),

plan as (
    select * from {{ ref('int_plan_id') }}
),

decided as (
    select
        losses.*,
        plan.plan_id,
        refusals.decision,
        approval.plan_id as approval_id,
        losses.is_lost
        and refusals.change_id is null
        and approval.plan_id is not null as is_released
    from losses
    cross join plan
    left join refusals on losses.change_id = refusals.change_id
    left join approval on true
)

select
    plan_id,
    change_id,
    object_type,
    rows_before,
    rows_now,
    is_lost and not is_released as is_held,
    case when not is_released then detail end as detail,
    decision is not null as is_rejected,
    case when is_released then approval_id end as approval_id
from decided
