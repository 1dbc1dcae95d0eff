-- Whether a company's own subscriptions decide about it, or its parent's; no row where
-- its own do by default. A merged-away parent is followed; a company that became its
-- own parent by a merge has none.
with companies as (
    select * from {{ ref('stg_hubspot__companies') }}
    where record_state <> 'merged'
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

policy as (
    select * from {{ ref('parent_access') }}
    where object_type = 'companies'
),

named as (
    select
        policy_values.object_id as company_id,
        policy.parent_policy,
        policy.property
    from policy
    inner join {{ ref('stg_hubspot__policy_values') }} as policy_values
        on
            policy.object_type = policy_values.object_type
            and policy.property = policy_values.property
            and lower(policy.value) = lower(policy_values.value)
    -- The type again, as a constant: PostgreSQL then reads that of one index.
    where policy_values.object_type = 'companies' and policy_values.kind = 'text'
    union all
    -- The id itself, which portals rarely load as a property.
    select
        policy.value as company_id,
        policy.parent_policy,
        policy.property
    from policy
    where policy.property = 'hs_object_id'
),

ranked as (
    select
        company_id,
        parent_policy,
        row_number() over (
            partition by company_id
            order by
                case when property = 'hs_object_id' then 0 else 1 end,
                property,
                parent_policy
        ) as preference
    from named
)

select
    companies.company_id,
    companies.record_state,
    nullif(
        coalesce(aliases.survivor_id, companies.parent_company_id),
        companies.company_id
    ) as parent_company_id,
    coalesce(ranked.parent_policy, '{{ var("parent_access") }}') as parent_policy,
    ranked.parent_policy is not null as is_explicit
from companies
left join aliases on companies.parent_company_id = aliases.alias_id
left join ranked
    on companies.company_id = ranked.company_id and ranked.preference = 1
where ranked.parent_policy is not null or '{{ var("parent_access") }}' <> 'own'
