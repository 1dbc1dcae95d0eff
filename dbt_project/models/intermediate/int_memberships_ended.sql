{{ config(meta={'rows': 'people'}) }}

-- Published links that this run takes back.
with published as (
    select * from {{ ref('int_memberships_before_run') }}
),

links as (
    select * from {{ ref('int_memberships') }}
)

select
    published.contact_id,
    published.customer_id
from published
left join links
    on
        published.contact_id = links.contact_id
        and published.customer_id = links.customer_id
where links.contact_id is null
