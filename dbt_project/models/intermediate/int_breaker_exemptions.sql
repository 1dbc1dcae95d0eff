-- Changes that wait, or are ignored, whatever the breaker's limits say. It does not
-- count them.
with changes as (
    select * from {{ ref('int_access_changes') }}
),

refusals as (
    select * from {{ ref('int_refusals') }}
),

protected as (
    select * from {{ ref('int_protected_customers') }}
),

losses as (
    select * from {{ ref('int_extract_losses') }}
    where
        is_lost
        -- Contacts decide nobody's access.
        and object_type <> 'contacts'
),

loss as (
    select
        min(detail) as detail,
        min(case when object_type = 'companies' then detail end) as companies_detail
    from losses
),

-- Until a person has seen what would become of the access that the app had already.
adoption as (
    select count(*) as customers
    from changes
    left join refusals on changes.change_id = refusals.change_id
    where
        changes.is_adopted
        and changes.action in ('grant', 'revoke', 'change')
        and refusals.change_id is null
),

held as (
    select
        changes.*,
        refusals.decision,
        refusals.decided_by,
        refusals.decided_at,
        protected.protected_by,
        case
            when
                loss.companies_detail is not null
                or (
                    changes.is_access_different
                    and changes.reason_code not in ('OVERRIDE_DENY', 'OVERRIDE_GRANT')
                )
                then coalesce(loss.companies_detail, loss.detail)
        end as loss_detail,
        (changes.is_adopted or (not changes.has_events and adoption.customers > 0))
        and (
            changes.action in ('grant', 'revoke', 'change')
            or changes.change_class is not null
        ) as is_first_run,
        protected.customer_id is not null
        and changes.change_class in ('revoke', 'shorten') as is_protected
    from changes
    cross join loss
    cross join adoption
    -- Whose access has ended at its own date loses nothing more, whoever refused it.
    left join refusals
        on
            changes.change_id = refusals.change_id
            and (changes.lapsed_at is null or changes.to_enabled)
    left join protected on changes.customer_id = protected.customer_id
)

select
    customer_id,
    change_id,
    case
        when decision = 'rejected' then 'REJECTED'
        when decision = 'undone' then 'UNDONE'
        when loss_detail is not null then 'EXTRACT_GUARD'
        when is_first_run then 'FIRST_RUN'
        else 'PROTECTED'
    end as hold_reason,
    case
        when decision is not null
            then
                case decision when 'undone' then 'Undone' else 'Rejected' end
                || ' by ' || decided_by || ' on '
                || cast(cast(decided_at at time zone 'UTC' as date) as text)
                || '; ignored until its evidence changes.'
        when loss_detail is not null then loss_detail
        when is_first_run
            then
                'The app had access flags before the first sync; none is changed '
                || 'until a person has approved the plan.'
        else 'The customer is protected by ' || protected_by || '.'
    end as hold_detail
from held
where
    decision is not null or loss_detail is not null or is_first_run or is_protected
