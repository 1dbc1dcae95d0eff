{{ config(
    materialized='rebuilt_rows',
    unique_key=['parent_type', 'parent_id'],
    meta={'rows': 'priced_records'},
) }}

-- depends_on: {{ ref('int_priced_records_touched') }}
-- Line items with their plan, price per month and end, under the deal or commerce
-- subscription they belong to. A line item without a plan has that of its product.
with associations as (
    select distinct
        from_type as parent_type,
        from_id as parent_id,
        to_id as line_item_id
    from {{ ref('stg_hubspot__associations') }}
    where
        to_type = 'line_items'
        and from_type in ('deals', 'subscriptions')
    {{ and_only_rows_to_build('from_type, from_id') }}
),

line_items as (
    select
        *,
        case lower(billing_frequency)
            when 'weekly' then 12.0 / 52
            when 'biweekly' then 12.0 / 26
            when 'monthly' then 1
            when 'quarterly' then 3
            when 'per_six_months' then 6
            when 'annually' then 12
            when 'per_two_years' then 24
            when 'per_three_years' then 36
            when 'per_four_years' then 48
            when 'per_five_years' then 60
        end as months_per_payment,
        case
            when term_months between 1 and 1200 then cast(term_months as integer)
            when billing_period ~ '^P[0-9]{1,3}[MY]$'
                then
                    cast(
                        substring(billing_period, 2, length(billing_period) - 2)
                        as integer
                    ) * case when billing_period like '%Y' then 12 else 1 end
        end as months_of_term
    from {{ ref('stg_hubspot__line_items') }}
    where record_state = 'live'
),

deals as (
    select * from {{ ref('stg_hubspot__deals') }}
),

started as (
    select
        associations.parent_type,
        associations.parent_id,
        line_items.*,
        -- Floating point, since two prices of 18 digits do not fit any decimal.
        coalesce(
            line_items.amount,
            {{ as_money(
                'cast(line_items.price as double precision)'
                ' * coalesce(line_items.quantity, 1)'
            ) }}
        ) as total,
        coalesce(
            line_items.starts_on, cast(deals.closed_at at time zone 'UTC' as date)
        ) as term_starts_on
    from associations
    inner join line_items on associations.line_item_id = line_items.line_item_id
    left join deals
        on
            associations.parent_type = 'deals'
            and associations.parent_id = deals.deal_id
)

select
    started.parent_type,
    started.parent_id,
    started.line_item_id,
    coalesce(own_plan.plan_code, product_plan.plan_code) as plan_code,
    coalesce(own_plan.access_level, product_plan.access_level) as access_level,
    coalesce(own_plan.rank, product_plan.rank) as rank,
    started.currency,
    started.quantity,
    started.total as amount,
    coalesce(started.mrr, started.total / started.months_per_payment) as mrr,
    started.starts_on,
    coalesce(
        started.ends_on,
        cast(
            started.term_starts_on
            + started.months_of_term * interval '1 month'
            - interval '1 day' as date
        )
    ) as ends_on,
    started.billing_frequency is not null
    or started.billing_period is not null as is_recurring
from started
left join {{ ref('int_plans_of_records') }} as own_plan
    on own_plan.object_type = 'line_items' and started.line_item_id = own_plan.object_id
left join {{ ref('int_plans_of_records') }} as product_plan
    on
        product_plan.object_type = 'products'
        and started.product_id = product_plan.object_id
