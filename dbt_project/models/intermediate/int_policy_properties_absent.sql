-- What policy reads, and the portal does not have: skipped, or lost since.
with properties as (
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
)

select
    named.object_type,
    named.property,
    min(named.seed) as seed
from named
left join properties
    on
        named.object_type = properties.object_type
        and named.property = properties.property
where
    named.property is not null
    -- The id itself, which every record has.
    and named.property <> 'hs_object_id'
    and properties.property is null
group by named.object_type, named.property
