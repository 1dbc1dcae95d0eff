{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'contracts'},
) }}

-- depends_on: {{ ref('int_subscriptions_touched') }}
-- HubSpot's own subscription records. Their status property and its values differ
-- between portals; what policy does not know is unknown, never a guess.
with records as (
    select * from {{ ref('stg_hubspot__subscriptions') }}
    {{ only_rows_to_build("'subscriptions', subscription_record_id") }}
),

policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    where
        object_type = 'subscriptions'
        and kind = 'text'
    {{ and_only_rows_to_build('object_type, object_id') }}
),

policy as (
    select * from {{ ref('subscription_statuses') }}
),

published as (
    select * from {{ ref('int_subscriptions_before_run') }}
),

statuses as (
    select
        policy_values.object_id,
        policy_values.property,
        policy_values.value,
        policy.status,
        row_number() over (
            partition by policy_values.object_id
            order by
                case when policy.status is null then 1 else 0 end,
                policy_values.property
        ) as preference
    from policy_values
    left join policy
        on
            policy_values.property = policy.property
            and lower(policy_values.value) = lower(policy.value)
    where policy_values.property in (select known.property from policy as known)
),

line_items as (
    select * from {{ ref('int_line_items_summarised') }}
    where parent_type = 'subscriptions'
),

policy_dates as (
    select * from {{ ref('int_policy_dates') }}
    where object_type = 'subscriptions'
),

plans as (
    select * from {{ ref('int_plans_of_records') }}
    where object_type = 'subscriptions'
),

portal as (
    select * from {{ ref('stg_hubspot__portal') }}
)

select
    'subscription:' || records.subscription_record_id as subscription_id,
    'subscriptions' as object_type,
    records.subscription_record_id as object_id,
    records.record_state,
    records.name,
    coalesce(plans.plan_code, line_items.plan_code) as plan_code,
    coalesce(plans.access_level, line_items.access_level) as access_level,
    coalesce(statuses.status, 'unknown') as declared_status,
    coalesce(statuses.property, 'hs_status') as status_property,
    statuses.value as status_value,
    coalesce(
        policy_dates.starts_on,
        line_items.starts_on,
        cast(records.created_at at time zone 'UTC' as date)
    ) as starts_on,
    -- Days that somebody set; the fallback for starts_on is none.
    coalesce(policy_dates.starts_on, line_items.starts_on) as starts_on_as_set,
    coalesce(policy_dates.ends_on, line_items.ends_on) as ends_on,
    coalesce(
        policy_dates.ends_on_property,
        case
            when line_items.ends_on is not null then 'hs_recurring_billing_end_date'
        end
    ) as ends_on_property,
    policy_dates.past_due_since,
    line_items.quantity,
    coalesce(
        records.last_payment_amount, records.next_payment_amount, line_items.amount
    ) as amount,
    coalesce(records.currency, line_items.currency, portal.company_currency)
        as currency,
    line_items.currencies as line_item_currencies,
    line_items.mrr,
    records.updated_at
from records
left join statuses
    on records.subscription_record_id = statuses.object_id and statuses.preference = 1
left join published
    on published.subscription_id = 'subscription:' || records.subscription_record_id
left join line_items on records.subscription_record_id = line_items.parent_id
left join policy_dates on records.subscription_record_id = policy_dates.object_id
left join plans on records.subscription_record_id = plans.object_id
left join portal on true
where records.record_state = 'live' or published.subscription_id is not null
