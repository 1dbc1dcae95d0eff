{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'people', 'looked_up_by': ['customer_id']},
) }}

-- depends_on: {{ ref('int_contacts_touched') }}
-- Contacts of customers as HubSpot links them now, merged-away ids followed.
with associations as (
    select * from {{ ref('stg_hubspot__associations') }}
    where
        from_type = 'contacts'
        and to_type = 'companies'
    {{ and_only_rows_to_build('from_id') }}
),

contact_aliases as (
    select * from {{ ref('int_contact_aliases') }}
),

company_aliases as (
    select * from {{ ref('int_company_aliases') }}
),

contacts as (
    select * from {{ ref('stg_hubspot__contacts') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

followed as (
    select
        coalesce(contact_aliases.survivor_id, associations.from_id) as contact_id,
        coalesce(company_aliases.survivor_id, associations.to_id) as customer_id,
        associations.is_primary,
        associations.label
    from associations
    left join contact_aliases on associations.from_id = contact_aliases.alias_id
    left join company_aliases on associations.to_id = company_aliases.alias_id
)

select
    followed.contact_id,
    followed.customer_id,
    coalesce(bool_or(followed.is_primary), false) as is_primary,
    string_agg(
        distinct case when not followed.is_primary then followed.label end, ';'
        order by case when not followed.is_primary then followed.label end
    ) as labels
from followed
inner join contacts on followed.contact_id = contacts.contact_id
inner join customers on followed.customer_id = customers.customer_id
group by followed.contact_id, followed.customer_id
