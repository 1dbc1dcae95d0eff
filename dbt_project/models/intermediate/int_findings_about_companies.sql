-- Companies that may be one, customers without a subscription, and owners who left.
with customers as (
    select customer_id from {{ ref('int_customers') }}
    where record_state = 'live'
),

companies as (
    select
        company_id,
        owner_id,
        coalesce(parent_company_id, company_id) as head_id,
        case
            when lower(domain) like 'www.%' then substring(lower(domain), 5)
            else lower(domain)
        end as domain
    from {{ ref('stg_hubspot__companies') }}
    where record_state = 'live'
),

owners as (
    select * from {{ ref('stg_hubspot__owners') }}
),

verdicts as (
    select
        customer_id,
        is_enabled,
        reason_code
    from {{ ref('int_access_verdicts') }}
),

-- A subsidiary has its parent's domain by right, and a domain of many is a provider's.
shared_domains as (
    select
        companies.domain,
        min(customers.customer_id) as customer_id,
        string_agg(companies.company_id, ', ' order by companies.company_id)
            as company_ids
    from companies
    left join customers on companies.company_id = customers.customer_id
    where
        companies.domain in (
            select several.domain
            from companies as several
            where several.domain is not null
            group by several.domain
            having count(*) between 2 and 10
        )
    group by companies.domain
    having
        count(distinct companies.head_id) > 1
        and count(customers.customer_id) > 0
),

enabled as (
    select
        customers.customer_id,
        companies.owner_id
    from customers
    inner join verdicts on customers.customer_id = verdicts.customer_id
    inner join companies on customers.customer_id = companies.company_id
    where verdicts.is_enabled
),

called_customers as (
    select customer_id from {{ ref('int_customers_by_lifecycle') }}
),

bought as (
    select
        called_customers.customer_id,
        {{ is_exception("verdicts.reason_code = 'NO_SUBSCRIPTION'") }}
            as lacks_subscription
    from called_customers
    inner join verdicts on called_customers.customer_id = verdicts.customer_id
),

owners_gone as (
    select
        enabled.owner_id,
        min(owners.name) as name,
        count(*) as customers
    from enabled
    left join owners on enabled.owner_id = owners.owner_id
    where enabled.owner_id is not null and coalesce(owners.is_archived, true)
    group by enabled.owner_id
)

select
    'warning' as severity,
    'COMPANIES_SHARE_DOMAIN' as kind,
    'companies' as object_type,
    customer_id as object_id,
    domain as detail,
    'Companies ' || company_ids || ' have the domain ' || domain || ': merge those '
    || 'that are the same, or make one the parent company of the others.' as what_to_do
from shared_domains
union all
-- One for each person who left, who may have hundreds.
select
    'warning' as severity,
    'OWNER_GONE' as kind,
    'owners' as object_type,
    owner_id as object_id,
    cast(null as text) as detail,
    coalesce(name, 'Owner ' || owner_id) || ' is no longer a user of HubSpot and still '
    || 'owns customers with access (' || customers || '): give them another owner.'
        as what_to_do
from owners_gone
union all
select
    'info' as severity,
    'CUSTOMER_WITHOUT_SUBSCRIPTION' as kind,
    'companies' as object_type,
    customer_id as object_id,
    cast(null as text) as detail,
    'Its lifecycle stage says customer, and it never had a won deal or subscription, '
    || 'so it has no access: associate what it bought, or correct the stage.'
        as what_to_do
from bought
where lacks_subscription
