-- Companies and people that may be one, and what customers with access lack.
with customers as (
    select
        customer_id,
        name,
        domain
    from {{ ref('int_customers') }}
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
        is_churned,
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

members as (
    select distinct customer_id
    from {{ ref('int_memberships') }}
    where contact_state = 'live'
),

peopled as (
    select
        enabled.customer_id,
        {{ is_exception('members.customer_id is null') }} as lacks_people
    from enabled
    left join members on enabled.customer_id = members.customer_id
),

called_customers as (
    select distinct policy_values.object_id as customer_id
    from {{ ref('stg_hubspot__policy_values') }} as policy_values
    inner join {{ ref('customer_lifecycle_stages') }} as policy
        on
            policy_values.object_type = policy.object_type
            and policy_values.property = policy.property
            and lower(policy_values.value) = lower(policy.value)
    where
        policy_values.object_type = 'companies' and policy_values.record_state = 'live'
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
),

shared_emails as (
    select
        min(contact_id) as contact_id,
        string_agg(contact_id, ', ' order by contact_id) as contact_ids
    from {{ ref('int_contacts_sharing_email') }}
    group by email
),

domains_with_access as (
    select
        lower(customers.domain) as domain,
        min(customers.customer_id) as customer_id,
        min(coalesce(customers.name, 'company')) as name
    from customers
    inner join verdicts on customers.customer_id = verdicts.customer_id
    where customers.domain is not null and verdicts.is_enabled
    group by lower(customers.domain)
    having count(*) = 1
),

-- A person of a churned customer is no problem, and every one of them would be here;
-- a person whose address says that they work for a customer with access is.
with_address_of_others as (
    select distinct
        memberships.contact_id,
        domains.customer_id,
        domains.name
    from {{ ref('int_memberships') }} as memberships
    inner join verdicts on memberships.customer_id = verdicts.customer_id
    inner join domains_with_access as domains
        on memberships.email_domain = domains.domain
    where
        memberships.contact_state = 'live'
        and verdicts.is_churned
        and not verdicts.is_enabled
),

of_others_too as (
    select memberships.contact_id
    from {{ ref('int_memberships') }} as memberships
    inner join with_address_of_others as addressed
        on memberships.contact_id = addressed.contact_id
    inner join verdicts on memberships.customer_id = verdicts.customer_id
    where not verdicts.is_churned or verdicts.is_enabled
),

of_churned_only as (
    select * from with_address_of_others
    where contact_id not in (select others.contact_id from of_others_too as others)
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
    'CUSTOMER_WITHOUT_CONTACT' as kind,
    'companies' as object_type,
    customer_id as object_id,
    cast(null as text) as detail,
    'It has access, and no contact is associated, so the app knows nobody there: '
    || 'associate its people.' as what_to_do
from peopled
where lacks_people
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
union all
select
    'warning' as severity,
    'CONTACTS_SHARE_EMAIL' as kind,
    'contacts' as object_type,
    contact_id as object_id,
    cast(null as text) as detail,
    'Contacts ' || contact_ids || ' have one e-mail address, so a login cannot be told '
    || 'whose it is: merge them, or correct the address.' as what_to_do
from shared_emails
union all
select
    'warning' as severity,
    'CONTACT_IN_CHURNED_COMPANY_ONLY' as kind,
    'contacts' as object_type,
    contact_id as object_id,
    customer_id as detail,
    'This person belongs to no customer but churned ones, and has an e-mail address of '
    || name || ' (' || customer_id || '), which has access: associate '
    || 'that company.' as what_to_do
from of_churned_only
