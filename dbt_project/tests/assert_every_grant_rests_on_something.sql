-- Access without a subscription, an override, a grace date or a verdict that is kept
-- would be access by accident.
select
    verdicts.customer_id,
    verdicts.reason_code
from {{ ref('int_access_verdicts') }} as verdicts
cross join {{ ref('int_clock') }} as clock
where
    verdicts.is_enabled
    and not case verdicts.reason_code
        when 'SUBSCRIPTION_ACTIVE'
            then
                exists (
                    select 1
                    from {{ ref('int_subscriptions') }} as subscriptions
                    where
                        subscriptions.customer_id
                        = coalesce(verdicts.surviving_customer_id, verdicts.customer_id)
                        and subscriptions.status in ('active', 'trialing', 'cancelling')
                )
        when 'PARENT_INHERITED'
            then
                verdicts.inherited_from in (
                    select parents.customer_id
                    from {{ ref('int_access_verdicts') }} as parents
                    where parents.is_enabled
                )
        when 'OVERRIDE_GRANT' then verdicts.access_until > clock.now_at
        when 'GRACE' then verdicts.access_until > clock.now_at
        when 'UNKNOWN_HELD' then coalesce(verdicts.access_until > clock.now_at, true)
        else false
    end
