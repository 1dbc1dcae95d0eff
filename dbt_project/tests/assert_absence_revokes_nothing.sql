-- Whoever had access and loses it must lose it to something a person set: a status, a
-- stage, an override, a date that has passed or was moved. A missing record is none
-- of these.
select
    verdicts.customer_id,
    verdicts.reason_code
from {{ ref('int_access_verdicts') }} as verdicts
inner join {{ ref('int_access_before_run') }} as access
    on verdicts.customer_id = access.customer_id
cross join {{ ref('int_clock') }} as clock
where
    access.is_enabled
    and not verdicts.is_enabled
    and verdicts.reason_code in ('UNKNOWN_HELD', 'NO_SUBSCRIPTION')
    and access.reason_code <> 'OVERRIDE_GRANT'
    and coalesce(access.access_until > clock.now_at, true)
    and verdicts.customer_id not in (
        select subscriptions.customer_id
        from {{ ref('int_subscriptions') }} as subscriptions
        where
            subscriptions.status = 'scheduled' and subscriptions.customer_id is not null
    )
