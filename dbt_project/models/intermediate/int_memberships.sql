{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'people', 'looked_up_by': ['customer_id']},
) }}

-- depends_on: {{ ref('int_contacts_touched') }}
-- Who belongs to which customer. A published link stays while either end is archived,
-- missing or erased, since HubSpot then no longer tells it; it goes when both ends
-- are live, or merged into others whose own links are the truth.
with links as (
    select * from {{ ref('int_member_links') }}
    {{ only_rows_to_build() }}
),

published as (
    select * from {{ ref('int_memberships_before_run') }}
),

contacts as (
    select
        contact_id,
        record_state,
        split_part(lower(email), '@', 2) as email_domain
    from {{ ref('stg_hubspot__contacts') }}
    {{ only_rows_to_build() }}
),

customers as (
    select
        customer_id,
        record_state
    from {{ ref('int_customers') }}
),

kept as (
    select
        published.contact_id,
        published.customer_id,
        contacts.record_state as contact_state,
        contacts.email_domain,
        published.is_primary,
        published.labels
    from published
    left join contacts on published.contact_id = contacts.contact_id
    left join customers on published.customer_id = customers.customer_id
    left join links
        on
            published.contact_id = links.contact_id
            and published.customer_id = links.customer_id
    where
        links.contact_id is null
        and (
            coalesce(contacts.record_state, 'missing') not in ('live', 'merged')
            or coalesce(customers.record_state, 'missing') not in ('live', 'merged')
        )
)

select
    links.contact_id,
    links.customer_id,
    contacts.record_state as contact_state,
    contacts.email_domain,
    links.is_primary,
    links.labels
from links
inner join contacts on links.contact_id = contacts.contact_id
union all
select
    contact_id,
    customer_id,
    contact_state,
    email_domain,
    is_primary,
    labels
from kept
