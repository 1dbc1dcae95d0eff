-- Customers whose access only a person may end. A merge carries the protection, and
-- who has the access of a protected parent shares it.
with policy_values as (
    select * from {{ ref('stg_hubspot__policy_values') }}
    where
        object_type = 'companies'
        and kind = 'text'
        and record_state in ('live', 'archived', 'missing', 'merged')
),

policy as (
    select * from {{ ref('protected_customers') }}
    where object_type = 'companies'
),

customers as (
    select
        customer_id,
        coalesce(surviving_customer_id, customer_id) as verdict_of
    from {{ ref('int_customers') }}
),

named as (
    select
        policy_values.object_id as customer_id,
        policy.property,
        policy.value,
        policy.note
    from policy
    inner join policy_values
        on
            policy.property = policy_values.property
            and lower(policy.value) = lower(policy_values.value)
    union all
    -- The id is no property of a record that is gone, and portals rarely load it.
    select
        customers.customer_id,
        policy.property,
        policy.value,
        policy.note
    from policy
    inner join customers on policy.value = customers.customer_id
    where policy.property = 'hs_object_id'
),

surviving as (
    select
        named.property,
        named.value,
        named.note,
        customers.verdict_of
    from named
    inner join customers on named.customer_id = customers.customer_id
),

decided as (
    select
        customer_id,
        verdict_of
    from customers
    where verdict_of in (select surviving.verdict_of from surviving)
    union
    select
        customer_id,
        inherited_from as verdict_of
    from {{ ref('int_access_verdicts') }}
    where inherited_from is not null
)

select
    decided.customer_id,
    min(
        'companies.' || surviving.property || ' = ' || surviving.value
        || coalesce(': ' || surviving.note, '')
    ) as protected_by
from decided
inner join surviving on decided.verdict_of = surviving.verdict_of
group by decided.customer_id
