{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'contracts'},
) }}

-- depends_on: {{ ref('int_subscriptions_touched') }}
-- Deals that are or were subscriptions: won, in a stage that policy calls one, or
-- already in the app. A deal that is in the app and no longer won was annulled
-- (`lost`), or is unclear (`unknown`): reopened, in a stage nobody knows, ignored.
with deals as (
    select * from {{ ref('stg_hubspot__deals') }}
    {{ only_rows_to_build("'deals', deal_id") }}
),

judged as (
    select * from {{ ref('int_deals_judged') }}
),

published as (
    select * from {{ ref('int_subscriptions_before_run') }}
),

line_items as (
    select * from {{ ref('int_line_items_summarised') }}
    where parent_type = 'deals'
),

policy_dates as (
    select * from {{ ref('int_policy_dates') }}
    where object_type = 'deals'
),

plans as (
    select * from {{ ref('int_plans_of_records') }}
    where object_type = 'deals'
),

portal as (
    select * from {{ ref('stg_hubspot__portal') }}
)

select
    'deal:' || deals.deal_id as subscription_id,
    'deals' as object_type,
    deals.deal_id as object_id,
    deals.record_state,
    deals.name,
    coalesce(plans.plan_code, line_items.plan_code) as plan_code,
    coalesce(plans.access_level, line_items.access_level) as access_level,
    case
        when judged.outcome = 'won' then 'active'
        when judged.outcome in ('open', 'ignored', 'unknown') then 'unknown'
        else judged.outcome
    end as declared_status,
    'dealstage' as status_property,
    deals.stage_id as status_value,
    coalesce(
        policy_dates.starts_on,
        line_items.starts_on,
        cast(deals.closed_at at time zone 'UTC' as date)
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
    coalesce(deals.amount, line_items.amount) as amount,
    coalesce(deals.currency, line_items.currency, portal.company_currency) as currency,
    line_items.currencies as line_item_currencies,
    coalesce(deals.mrr, line_items.mrr) as mrr,
    deals.updated_at
from deals
inner join judged on deals.deal_id = judged.deal_id
left join published on published.subscription_id = 'deal:' || deals.deal_id
left join line_items on deals.deal_id = line_items.parent_id
left join policy_dates on deals.deal_id = policy_dates.object_id
left join plans on deals.deal_id = plans.object_id
left join portal on true
where
    published.subscription_id is not null
    or (
        deals.record_state = 'live'
        and judged.outcome in ('won', 'trialing', 'past_due', 'paused', 'canceled')
    )
