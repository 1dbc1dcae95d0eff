-- People who may be one, who belong elsewhere, and customers of whom nobody is known.
with customers as (
    select
        customer_id,
        name,
        domain
    from {{ ref('int_customers') }}
    where record_state = 'live'
),

verdicts as (
    select
        customer_id,
        is_enabled,
        is_churned
    from {{ ref('int_access_verdicts') }}
),

enabled as (
    select
        customers.customer_id,
        customers.name,
        lower(customers.domain) as domain
    from customers
    inner join verdicts on customers.customer_id = verdicts.customer_id
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

shared_emails as (
    select
        min(contact_id) as contact_id,
        string_agg(contact_id, ', ' order by contact_id) as contact_ids
    from {{ ref('int_contacts_sharing_email') }}
    group by email
),

domains_with_access as (
    select
        domain,
        min(customer_id) as customer_id,
        min(coalesce(name, 'company')) as name
    from enabled
    where domain is not null
    group by domain
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
