{{ config(
    materialized='rebuilt_rows',
    unique_key=['customer_id'],
    meta={'rows': 'subscribers'},
) }}

-- The one subscription per customer that decides, most generous first: in force, then
-- in grace, then unknown (which holds), then over, then not begun.
with subscriptions as (
    select
        subscriptions.*,
        clock.today,
        coalesce(levels.rank, default_levels.rank) as rank,
        coalesce(levels.access_level, default_levels.access_level) as level_given,
        case
            when
                subscriptions.status in ('active', 'trialing', 'cancelling')
                then 'in_force'
            when
                subscriptions.status in ('past_due', 'ended')
                and subscriptions.access_ends_on >= clock.today then 'grace'
            when subscriptions.status = 'unknown' then 'unknown'
            when subscriptions.status = 'scheduled' then 'scheduled'
            else 'over'
        end as standing
    from {{ ref('int_subscriptions') }} as subscriptions
    cross join {{ ref('int_clock') }} as clock
    left join {{ ref('access_levels') }} as levels
        on subscriptions.access_level = levels.access_level
    left join {{ ref('access_levels') }} as default_levels
        on default_levels.access_level = '{{ var("default_access_level") }}'
    where
        subscriptions.customer_id is not null
        and subscriptions.record_state <> 'merged'
    {{ and_only_rows_to_build('subscriptions.customer_id') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by
                case standing
                    when 'in_force' then 1
                    when 'grace' then 2
                    when 'unknown' then 3
                    when 'over' then 4
                    else 5
                end,
                case when standing in ('in_force', 'grace') then rank end desc,
                case when status = 'paused' then 0 else 1 end,
                case when standing = 'over' then ends_on end desc nulls last,
                starts_on desc nulls last,
                subscription_id asc
        ) as preference,
        max(case when starts_on <= today then starts_on end) over (
            partition by customer_id
        ) as latest_start_on,
        max(case when standing in ('in_force', 'grace') then access_ends_on end) over (
            partition by customer_id
        ) as latest_access_ends_on,
        max(case
            when standing = 'in_force' and access_ends_on is null then 1 else 0
        end) over (partition by customer_id) as open_ended
    from subscriptions
)

select
    customer_id,
    subscription_id,
    standing,
    status,
    level_given,
    starts_on,
    ends_on,
    overdue_since,
    latest_start_on,
    case when open_ended = 0 then latest_access_ends_on end as access_ends_on,
    object_type,
    object_id,
    evidence_property,
    evidence_value,
    evidence_old_value,
    record_state,
    updated_at
from ranked
where preference = 1
