{{ config(
    materialized='rebuilt_rows',
    unique_key=['deal_id'],
    meta={'rows': 'deals'},
) }}

-- How each deal came out. Policy first; then the deal's own flags, which stay right
-- when stages are renamed, re-used or deleted; then the stage's metadata.
with deals as (
    select * from {{ ref('stg_hubspot__deals') }}
    {{ only_rows_to_build() }}
),

pipelines as (
    select * from {{ ref('int_deal_pipelines') }}
),

stages as (
    select * from {{ ref('int_deal_stages') }}
)

select
    deals.deal_id,
    deals.record_state,
    deals.pipeline_id,
    pipelines.pipeline_label,
    deals.stage_id,
    stages.stage_label,
    deals.closed_at,
    deals.updated_at,
    coalesce(pipelines.role, 'sales') as role,
    case
        when pipelines.role = 'ignore' then 'ignored'
        when stages.policy_meaning is not null then stages.policy_meaning
        when deals.is_closed_won then 'won'
        when deals.is_closed_lost then 'lost'
        when not deals.is_closed_won and not deals.is_closed_lost then 'open'
        else coalesce(stages.hubspot_meaning, 'unknown')
    end as outcome
from deals
left join pipelines on deals.pipeline_id = pipelines.pipeline_id
left join stages
    on
        deals.pipeline_id = stages.pipeline_id
        and deals.stage_id = stages.stage_id
