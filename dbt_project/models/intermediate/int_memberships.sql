-- Who belongs to which customer. A published link stays while either end is archived,
-- missing or erased, since HubSpot then no longer tells it; it goes when both ends
-- are live, or merged into others whose own links are the truth.
with links as (
    select * from {{ ref('int_member_links') }}
),

published as (
    select * from {{ ref('int_memberships_before_run') }}
),

contacts as (
    select * from {{ ref('stg_hubspot__contacts') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

kept as (
    select
        published.contact_id,
        published.customer_id,
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
    contact_id,
    customer_id,
    is_primary,
    labels
from links
union all
select
    contact_id,
    customer_id,
    is_primary,
    labels
from kept
