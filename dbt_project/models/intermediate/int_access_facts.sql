{{ config(materialized='rebuilt_view') }}

-- Everything a verdict is made of, one row per customer that is not merged away.
with customers as (
    select * from {{ ref('int_customers') }}
    where surviving_customer_id is null
),

-- What is known to end access on a day to come.
departures as (
    select
        signals.customer_id,
        min(signals.effective_on) as leaves_on
    from {{ ref('int_customer_signals') }} as signals
    cross join {{ ref('int_clock') }} as clock
    where signals.effect in ('churn', 'pause') and signals.effective_on > clock.today
    group by signals.customer_id
)

select
    customers.customer_id,
    customers.record_state,
    customers.hubspot_updated_at,
    overrides.effect as override_effect,
    overrides.object_id as override_object_id,
    overrides.access_level as override_level,
    overrides.ends_at as override_ends_at,
    overrides.property as override_property,
    overrides.value as override_value,
    overrides.updated_at as override_updated_at,
    churn.code as churn_code,
    churn.effective_on as churned_on,
    churn.object_type as churn_object_type,
    churn.object_id as churn_object_id,
    churn.property as churn_property,
    churn.value as churn_value,
    churn.updated_at as churn_updated_at,
    departures.leaves_on,
    pauses.object_type as pause_object_type,
    pauses.object_id as pause_object_id,
    pauses.property as pause_property,
    pauses.value as pause_value,
    pauses.updated_at as pause_updated_at,
    subscriptions.standing,
    subscriptions.status,
    subscriptions.level_given,
    subscriptions.starts_on,
    subscriptions.ends_on,
    subscriptions.overdue_since,
    subscriptions.latest_start_on,
    subscriptions.access_ends_on,
    subscriptions.object_type as subscription_object_type,
    subscriptions.object_id as subscription_object_id,
    subscriptions.evidence_property,
    subscriptions.evidence_value,
    subscriptions.evidence_old_value,
    subscriptions.updated_at as subscription_updated_at,
    last_verdicts.access_level as last_level,
    last_verdicts.is_enabled as last_is_enabled,
    last_verdicts.is_churned as last_is_churned,
    last_verdicts.reason_code as last_reason_code,
    last_verdicts.effective_at as last_effective_at,
    last_verdicts.access_until as last_access_until,
    last_verdicts.is_inherited as last_is_inherited,
    last_verdicts.is_evidence_lost as last_is_evidence_lost,
    last_verdicts.evidence_object_type as last_object_type,
    last_verdicts.evidence_object_id as last_object_id,
    last_verdicts.evidence_property as last_property,
    last_verdicts.evidence_value as last_value,
    parents.parent_policy,
    parents.is_explicit as is_parent_policy_explicit,
    parents.parent_company_id
from customers
left join {{ ref('int_customer_overrides') }} as overrides
    on customers.customer_id = overrides.customer_id
left join {{ ref('int_churn_evidence') }} as churn
    on customers.customer_id = churn.customer_id
left join departures on customers.customer_id = departures.customer_id
left join {{ ref('int_pause_evidence') }} as pauses
    on customers.customer_id = pauses.customer_id
left join {{ ref('int_deciding_subscriptions') }} as subscriptions
    on customers.customer_id = subscriptions.customer_id
left join {{ ref('int_last_verdicts') }} as last_verdicts
    on customers.customer_id = last_verdicts.customer_id
left join {{ ref('int_parent_policies') }} as parents
    on customers.customer_id = parents.company_id
