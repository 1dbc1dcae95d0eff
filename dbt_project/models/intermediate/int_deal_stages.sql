-- What each deal stage means: by policy, and as HubSpot's own metadata has it.
with stages as (
    select * from {{ ref('stg_hubspot__pipeline_stages') }}
    where object_type = 'deals'
),

policy as (
    select * from {{ ref('deal_stages') }}
),

matched as (
    select
        stages.pipeline_id,
        stages.stage_id,
        stages.stage_label,
        policy.meaning as policy_meaning,
        case
            when
                not coalesce(stages.is_closed, stages.probability in (0, 1))
                then 'open'
            when stages.probability = 1 then 'won'
            when stages.probability = 0 then 'lost'
            when stages.probability is not null then 'open'
        end as hubspot_meaning,
        row_number() over (
            partition by stages.pipeline_id, stages.stage_id
            order by
                case when policy.stage = stages.stage_id then 0 else 1 end,
                policy.meaning
        ) as preference
    from stages
    left join policy
        on
            (
                stages.pipeline_id = policy.pipeline
                or lower(stages.pipeline_label) = lower(policy.pipeline)
            )
            and (
                stages.stage_id = policy.stage
                or lower(stages.stage_label) = lower(policy.stage)
            )
)

select
    pipeline_id,
    stage_id,
    stage_label,
    policy_meaning,
    hubspot_meaning
from matched
where preference = 1
