-- What the breaker counts, and up to what: one row.
with changes as (
    select
        count(*) filter (where changes.change_class = 'revoke') as revocations,
        count(*) filter (where changes.change_class = 'grant') as grants,
        count(*) filter (where changes.change_class = 'shorten') as shortened
    from {{ ref('int_access_changes') }} as changes
    left join {{ ref('int_breaker_exemptions') }} as exemptions
        on changes.customer_id = exemptions.customer_id
    where exemptions.customer_id is null
),

access as (
    select
        count(*) as customers,
        count(*) filter (
            where
            access.is_enabled
            and coalesce(access.access_until > clock.now_at, true)
        ) as customers_with_access
    from {{ ref('int_access_before_run') }} as access
    cross join {{ ref('int_clock') }} as clock
),

-- Not those that a person approved, nor access that ended at its own date.
events as (
    select count(*) as revocations_before
    from {{ ref('int_events_before_run') }} as events
    cross join {{ ref('int_clock') }} as clock
    where
        events.from_enabled
        and not events.to_enabled
        and events.approved_by is null
        and (cast(events.evidence as json) ->> 'access_ended_at') is null
        and events.occurred_at > clock.now_at - interval '24 hours'
),

figures as (
    select
        changes.revocations,
        changes.grants,
        changes.shortened,
        events.revocations_before,
        access.customers_with_access,
        -- Filling an empty app takes nothing from anyone.
        access.customers > 0 as is_guarded,
        {{ breaker_limit('breaker_revocations_per_run', 'customers_with_access') }}
            as revocations_per_run,
        {{ breaker_limit('breaker_revocations_per_day', 'customers_with_access') }}
            as revocations_per_day,
        {{ breaker_limit('breaker_grants_per_run', 'customers_with_access') }}
            as grants_per_run
    from changes
    cross join access
    cross join events
)

select
    is_guarded,
    customers_with_access,
    revocations,
    revocations_before,
    grants,
    shortened,
    revocations_per_run,
    revocations_per_day,
    grants_per_run
from figures
