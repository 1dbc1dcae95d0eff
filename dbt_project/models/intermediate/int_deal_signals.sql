{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_id'],
    meta={'rows': 'deals'},
) }}

-- Deals in a stage that policy calls churn evidence: the stage a row names, or, where
-- it names none, lost in the pipeline it names, or in every renewal pipeline; and what
-- they say of its day.
with deals as (
    select * from {{ ref('int_deals_judged') }}
    where
        record_state in ('live', 'archived', 'missing')
    {{ and_only_rows_to_build('deal_id') }}
),

policy as (
    select * from {{ ref('churn_signals') }}
    where object_type = 'deals' and property is null
),

dates as (
    select
        object_id,
        property,
        value,
        day
    from {{ ref('stg_hubspot__policy_values') }}
    where
        object_type = 'deals'
        and kind = 'date'
    {{ and_only_rows_to_build('object_id') }}
)

select
    policy.code,
    policy.effect,
    policy.date_property,
    dates.value as date_value,
    dates.day,
    'deals' as object_type,
    deals.deal_id as object_id,
    'dealstage' as property,
    deals.stage_id as value,
    deals.closed_at,
    deals.updated_at
from deals
inner join policy
    on
        case
            when policy.pipeline is null then deals.role = 'renewal'
            else
                deals.pipeline_id = policy.pipeline
                or lower(deals.pipeline_label) = lower(policy.pipeline)
        end
        and case
            when policy.stage is null then deals.outcome = 'lost'
            else
                deals.stage_id = policy.stage
                or lower(deals.stage_label) = lower(policy.stage)
        end
left join dates
    on deals.deal_id = dates.object_id and policy.date_property = dates.property
