-- What each deal pipeline is for. A row that names the id beats one that names the
-- label; a pipeline without a row counts as sales.
with pipelines as (
    select distinct
        pipeline_id,
        pipeline_label
    from {{ ref('stg_hubspot__pipeline_stages') }}
    where object_type = 'deals'
),

policy as (
    select * from {{ ref('deal_pipelines') }}
),

matched as (
    select
        pipelines.pipeline_id,
        pipelines.pipeline_label,
        policy.role,
        row_number() over (
            partition by pipelines.pipeline_id
            order by
                case when policy.pipeline = pipelines.pipeline_id then 0 else 1 end,
                policy.pipeline
        ) as preference
    from pipelines
    left join policy
        on
            pipelines.pipeline_id = policy.pipeline
            or lower(pipelines.pipeline_label) = lower(policy.pipeline)
)

select
    pipeline_id,
    pipeline_label,
    coalesce(role, 'sales') as role,
    role is not null as has_role
from matched
where preference = 1
