-- Neither a link too few nor one too many.
-- depends_on: {{ ref('access') }}
with memberships as (
    select * from {{ ref('int_memberships') }}
    {{ only_rows_to_build(built='int_memberships') }}
),

published as (
    select * from {{ ref('memberships') }}
    {{ only_rows_to_build(built='int_memberships') }}
)

select
    coalesce(memberships.contact_id, published.contact_id) as contact_id,
    coalesce(memberships.customer_id, published.customer_id) as customer_id
from memberships
full join published
    on
        memberships.contact_id = published.contact_id
        and memberships.customer_id = published.customer_id
where
    memberships.contact_id is null
    or published.contact_id is null
    or memberships.is_primary <> published.is_primary
    or memberships.labels is distinct from published.labels
