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
),

-- Deals that became subscriptions say it themselves (int_findings_about_deals).
unclear_deals as (
    select
        judged.pipeline_id,
        judged.stage_id,
        count(*) as deals,
        min(judged.pipeline_label) as pipeline_label,
        min(judged.stage_label) as stage_label
    from {{ ref('int_deals_judged') }} as judged
    left join {{ ref('int_subscriptions') }} as subscriptions
        on
            subscriptions.object_type = 'deals'
            and judged.deal_id = subscriptions.object_id
    where
        judged.outcome = 'unknown'
        and judged.record_state = 'live'
        and judged.stage_id is not null
        and subscriptions.object_id is null
    group by judged.pipeline_id, judged.stage_id
),

named_companies as (
    select
        value as company_id,
        'protected_customers' as seed
    from {{ ref('protected_customers') }}
    where object_type = 'companies' and property = 'hs_object_id'
    union
    select
        value as company_id,
        'parent_access' as seed
    from {{ ref('parent_access') }}
    where object_type = 'companies' and property = 'hs_object_id'
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
union all
select
    'warning' as severity,
    'STAGE_UNMAPPED' as kind,
    'deals' as object_type,
    cast(null as text) as object_id,
    concat_ws(' / ', pipeline_id, stage_id) as detail,
    'Stage "' || coalesce(stage_label, stage_id) || '" of pipeline "'
    || coalesce(pipeline_label, pipeline_id, '') || '" is won, lost or open neither by '
    || 'HubSpot nor by policy, so the deals in it (' || deals || ') change nothing: '
    || 'give the stage a row in seeds/deal_stages.csv, or move the deals.'
        as what_to_do
from unclear_deals
union all
select
    'warning' as severity,
    'COMPANY_IN_POLICY_GONE' as kind,
    'companies' as object_type,
    named_companies.company_id as object_id,
    named_companies.seed as detail,
    'seeds/' || named_companies.seed || '.csv names company '
    || named_companies.company_id || ', which is '
    || coalesce(companies.record_state, 'not') || ' in HubSpot: name the company that '
    || 'carries it on, or remove the row.' as what_to_do
from named_companies
left join {{ ref('stg_hubspot__companies') }} as companies
    on named_companies.company_id = companies.company_id
where coalesce(companies.record_state, 'missing') <> 'live'
