-- Since when each piece of evidence has been there, as far as we saw. HubSpot's record
-- says when anything last changed, not when this did: without this memory an edit of an
-- address would move an undated churn past the win-back that answered it. Evidence
-- that goes is forgotten, so that the same words a year later count anew.
with signals as (
    select distinct
        object_type,
        object_id,
        property,
        value,
        updated_at
    from {{ ref('int_customer_signals') }}
)

select
    signals.object_type,
    signals.object_id,
    signals.property,
    signals.value,
    coalesce(
        seen.first_seen_on,
        least(cast(signals.updated_at at time zone 'UTC' as date), clock.today)
    ) as first_seen_on
from signals
cross join {{ ref('int_clock') }} as clock
left join {{ ref('int_signals_before_run') }} as seen
    on
        signals.object_type = seen.object_type
        and signals.object_id = seen.object_id
        and signals.property = seen.property
        and signals.value = seen.value
