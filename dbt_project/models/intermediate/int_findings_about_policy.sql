-- What policy does not say about this portal, and what it names that is not there.
with pipelines as (
    select * from {{ ref('int_deal_pipelines') }}
),

properties as (
    select * from {{ ref('stg_hubspot__properties') }}
    where record_state = 'live'
),

named as (
    select
        object_type,
        property,
        'churn_signals' as seed
    from {{ ref('churn_signals') }}
    union
    select
        object_type,
        date_property,
        'churn_signals' as seed
    from {{ ref('churn_signals') }}
    union
    select
        object_type,
        property,
        'subscription_statuses' as seed
    from {{ ref('subscription_statuses') }}
    union
    select
        object_type,
        property,
        'plans' as seed
    from {{ ref('plans') }}
    union
    select
        object_type,
        property,
        'customer_lifecycle_stages' as seed
    from {{ ref('customer_lifecycle_stages') }}
    union
    select
        object_type,
        property,
        'policy_dates' as seed
    from {{ ref('policy_dates') }}
    union
    select
        object_type,
        property,
        'access_overrides' as seed
    from {{ ref('access_overrides') }}
    union
    select
        object_type,
        date_property,
        'access_overrides' as seed
    from {{ ref('access_overrides') }}
    union
    select
        object_type,
        property,
        'protected_customers' as seed
    from {{ ref('protected_customers') }}
    union
    select
        object_type,
        property,
        'parent_access' as seed
    from {{ ref('parent_access') }}
),

absent as (
    select
        named.object_type,
        named.property,
        min(named.seed) as seed
    from named
    left join properties
        on
            named.object_type = properties.object_type
            and named.property = properties.property
    where named.property is not null and properties.property is null
    group by named.object_type, named.property
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
    'info' as severity,
    'PROPERTY_NOT_IN_PORTAL' as kind,
    object_type,
    cast(null as text) as object_id,
    property as detail,
    'The portal has no property ' || object_type || '.' || property
    || ': what seeds/' || seed || '.csv reads from it is skipped.' as what_to_do
from absent
