-- The verdict of each rule, with the fact it rests on. Instants are the first ones
-- after a last day, so that `now() < access_until` is the whole check. Where the parent
-- decides (9) this is what holds when it cannot be read: the last verdict.
with rules as (
    select
        *,
        {{ start_of_day('leaves_on') }} as leaves_at,
        {{ start_of_day('access_ends_on + 1') }} as subscription_until,
        -- Whether a subscription gives access when a grant has ended.
        standing in ('in_force', 'grace')
        and not is_parent_asked
        and not coalesce(churned_on >= latest_start_on, churned_on is not null)
        and coalesce({{ start_of_day('leaves_on') }} > override_ends_at, true)
            as is_bought_anyway,
        -- A held verdict ends when the date it was given until has passed.
        coalesce(last_is_enabled, false)
        and coalesce(last_access_until > now_at, true) as is_held_on,
        -- Paused by what someone set about the customer, not by its subscription.
        rule = 6
        and pause_object_id is not null
        and (status = 'paused' or is_parent_asked) as is_paused_as_customer,
        rule = 7
        and coalesce(last_is_evidence_lost, false)
        and coalesce(last_access_until > now_at, true) as is_evidence_lost
    from {{ ref('int_access_rules') }}
),

facts as (
    select
        *,
        case
            when rule = 2
                then
                    coalesce(
                        override_level,
                        case
                            when standing in ('in_force', 'grace') then level_given
                        end,
                        '{{ var("default_access_level") }}'
                    )
            when rule in (4, 5) then level_given
            when rule in (7, 9) and is_held_on then last_level
            else 'none'
        end as access_level,
        case when rule in (7, 9) then is_held_on else rule in (2, 4, 5) end
            as is_enabled,
        case
            when rule in (7, 9) then coalesce(last_is_churned, false)
            else rule = 3
        end as is_churned,
        case
            when rule = 1 then 'OVERRIDE_DENY'
            when rule = 2 then 'OVERRIDE_GRANT'
            when rule = 3 then churn_code
            when rule = 4 then 'SUBSCRIPTION_ACTIVE'
            when rule = 5 then 'GRACE'
            when is_paused_as_customer or (rule = 6 and status = 'paused') then 'PAUSED'
            when rule = 6 and status = 'canceled' then 'SUBSCRIPTION_CANCELED'
            when rule = 6 then 'SUBSCRIPTION_ENDED'
            when rule in (7, 9) then 'UNKNOWN_HELD'
            else 'NO_SUBSCRIPTION'
        end as reason_code,
        case
            when rule = 3 then {{ start_of_day('churned_on') }}
            when rule = 4 then {{ start_of_day('starts_on') }}
            when rule in (5, 6) and status = 'past_due'
                then {{ start_of_day('overdue_since') }}
            when rule in (5, 6) then {{ start_of_day('ends_on + 1') }}
            when rule in (7, 9) then last_effective_at
        end as effective_at,
        case
            when
                rule = 2
                and is_bought_anyway
                and coalesce(subscription_until > override_ends_at, true)
                then {{ earliest('subscription_until', 'leaves_at') }}
            when rule in (1, 2) then override_ends_at
            when rule in (4, 5) then {{ earliest('subscription_until', 'leaves_at') }}
            when rule in (7, 9) then last_access_until
        end as access_until
    from rules
)

select
    customer_id,
    rule,
    access_level,
    is_enabled,
    is_churned,
    reason_code,
    effective_at,
    access_until,
    inherits_from,
    leaves_at,
    is_evidence_lost,
    case
        when rule = 3 then churn_object_type
        when is_evidence_lost then last_object_type
        when is_paused_as_customer then pause_object_type
        when rule in (4, 5, 6) then subscription_object_type
        when rule = 7 and record_state = 'live' and subscription_object_id is not null
            then subscription_object_type
        else 'companies'
    end as evidence_object_type,
    case
        when rule in (1, 2) then coalesce(override_object_id, customer_id)
        when rule = 3 then churn_object_id
        when is_evidence_lost then last_object_id
        when is_paused_as_customer then pause_object_id
        when rule in (4, 5, 6) then subscription_object_id
        when rule = 7 and record_state = 'live' and subscription_object_id is not null
            then subscription_object_id
        else customer_id
    end as evidence_object_id,
    case
        when rule in (1, 2) then override_property
        when rule = 3 then churn_property
        when is_evidence_lost then last_property
        when is_paused_as_customer then pause_property
        when rule in (4, 5, 6) then evidence_property
        when rule = 7 and record_state = 'live' then evidence_property
        when rule = 7 then 'record_state'
        when rule = 9 then 'hs_parent_company_id'
    end as evidence_property,
    case
        when rule in (1, 2) then override_value
        when rule = 3 then churn_value
        when is_evidence_lost then last_value
        when is_paused_as_customer then pause_value
        when rule in (4, 5, 6) then evidence_value
        when rule = 7 and record_state = 'live' then evidence_value
        when rule = 7 then record_state
        when rule = 9 then inherits_from
    end as evidence_value,
    case
        when rule in (4, 5, 6) and not is_paused_as_customer then evidence_old_value
    end as evidence_old_value,
    case
        when rule in (1, 2) then override_updated_at
        when rule = 3 then churn_updated_at
        when is_paused_as_customer then pause_updated_at
        when rule in (4, 5, 6) then subscription_updated_at
        when rule = 7 and record_state = 'live' and subscription_object_id is not null
            then subscription_updated_at
        else hubspot_updated_at
    end as evidence_updated_at
from facts
