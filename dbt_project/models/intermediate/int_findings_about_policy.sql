-- What policy does not say about this portal, and what it names that is not there.
with pipelines as (
    select * from {{ ref('int_deal_pipelines') }}
),

held as (
    select
        evidence_object_type as object_type,
        evidence_property as property,
        count(*) as customers
    from {{ ref('int_access_verdicts_of_survivors') }}
    where is_evidence_lost
    group by evidence_object_type, evidence_property
)

select
    'warning' as severity,
    'PIPELINE_WITHOUT_ROLE' as kind,
    'deals' as object_type,
    cast(null as text) as object_id,
    pipeline_id as detail,
    'Pipeline "' || coalesce(pipeline_label, pipeline_id) || '" (' || pipeline_id
    || ') has no role and counts as sales: give it a row in seeds/deal_pipelines.csv.'
        as what_to_do
from pipelines
where not has_role
union all
select
    case when held.customers is null then 'info' else 'error' end as severity,
    'PROPERTY_NOT_IN_PORTAL' as kind,
    absent.object_type,
    cast(null as text) as object_id,
    absent.property as detail,
    'The portal has no property ' || absent.object_type || '.' || absent.property
    || ': what seeds/' || absent.seed || '.csv reads from it is skipped.'
    || coalesce(
        ' The access of ' || held.customers || ' customers rests on it and is held as '
        || 'it was: restore the property, or name its successor in the seed.', ''
    ) as what_to_do
from {{ ref('int_policy_properties_absent') }} as absent
left join held
    on absent.object_type = held.object_type and absent.property = held.property
