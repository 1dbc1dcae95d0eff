-- Who is a customer: a company that has or had a subscription, carries a lifecycle
-- stage or a grant that says so, has the access of such a parent, or is in the app
-- already. Nobody leaves this list. With whether app.customers says something else.
with recursive subscriptions as (
    select customer_id from {{ ref('int_subscriptions') }}
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

by_lifecycle as (
    select customer_id from {{ ref('int_customers_by_lifecycle') }}
),

by_grant as (
    select customer_id
    from {{ ref('int_customer_overrides') }}
    where effect = 'grant' and is_in_force
),

surviving as (
    select aliases.survivor_id as customer_id
    from {{ ref('int_customers_before_run') }} as published
    inner join aliases on published.customer_id = aliases.alias_id
),

by_evidence as (
    select customer_id from subscriptions
    union all
    select customer_id from by_lifecycle
    union all
    select customer_id from by_grant
    union all
    select customer_id from surviving
),

-- Nearly all of them are published, and only the others have to be told apart.
by_themselves as (
    select customer_id from {{ ref('int_customers_before_run') }}
    union all
    select distinct by_evidence.customer_id
    from by_evidence
    left join {{ ref('int_customers_before_run') }} as published
        on by_evidence.customer_id = published.customer_id
    where published.customer_id is null
),

heirs as (
    select
        company_id,
        parent_company_id
    from {{ ref('int_parent_policies') }}
    where record_state = 'live' and parent_policy <> 'own'
),

-- By a parent's subscriptions alone: none where nobody inherits.
inheriting as (
    select heirs.company_id
    from heirs
    inner join by_themselves on heirs.parent_company_id = by_themselves.customer_id
    union
    select heirs.company_id
    from heirs
    inner join inheriting on heirs.parent_company_id = inheriting.company_id
),

customer_ids as (
    select customer_id from by_themselves
    union all
    select company_id from inheriting
),

owners as (
    select * from {{ ref('stg_hubspot__owners') }}
),

urls as (
    select * from {{ ref('int_record_urls') }}
    where object_type = 'companies'
),

known as (
    select
        companies.company_id as customer_id,
        companies.name,
        companies.domain,
        companies.phone,
        companies.address,
        companies.city,
        companies.state,
        companies.zip,
        companies.country,
        companies.lifecycle_stage,
        owners.name as owner_name,
        owners.email as owner_email,
        coalesce(parents.survivor_id, companies.parent_company_id)
            as parent_customer_id,
        companies.record_state,
        urls.url_base || companies.company_id as hubspot_url,
        companies.created_at as hubspot_created_at,
        companies.updated_at as hubspot_updated_at
    from {{ ref('stg_hubspot__companies') }} as companies
    left join owners on companies.owner_id = owners.owner_id
    left join urls on true
    left join aliases as parents on companies.parent_company_id = parents.alias_id
    where companies.company_id in (select customer_ids.customer_id from customer_ids)
),

-- In the app, but not in raw any more: the app's row stands as it was.
lost as (
    select
        published.customer_id,
        published.name,
        published.domain,
        published.phone,
        published.address,
        published.city,
        published.state,
        published.zip,
        published.country,
        published.lifecycle_stage,
        published.owner_name,
        published.owner_email,
        published.parent_customer_id,
        'missing' as record_state,
        published.hubspot_url,
        published.hubspot_created_at,
        published.hubspot_updated_at
    from {{ ref('int_customers_before_run') }} as published
    left join {{ ref('stg_hubspot__companies') }} as companies
        on published.customer_id = companies.company_id
    where companies.company_id is null
),

everyone as (
    select * from known
    union all
    select * from lost
),

customers as (
    select
        everyone.customer_id,
        everyone.name,
        everyone.domain,
        everyone.phone,
        everyone.address,
        everyone.city,
        everyone.state,
        everyone.zip,
        everyone.country,
        everyone.lifecycle_stage,
        everyone.owner_name,
        everyone.owner_email,
        everyone.parent_customer_id,
        aliases.survivor_id as surviving_customer_id,
        case
            when aliases.survivor_id is null then everyone.record_state else 'merged'
        end as record_state,
        everyone.hubspot_url,
        everyone.hubspot_created_at,
        everyone.hubspot_updated_at
    from everyone
    left join aliases on everyone.customer_id = aliases.alias_id
)

select
    customers.*,  -- noqa: AM04
    published.customer_id is null as is_new,
    {{ differs(app_customer_columns(), 'customers', 'published') }}
        as is_different
from customers
left join {{ ref('int_customers_before_run') }} as published
    on customers.customer_id = published.customer_id
