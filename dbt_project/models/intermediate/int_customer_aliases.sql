-- Merged-away ids of customers, for what the app stored under an old id.
with aliases as (
    select * from {{ ref('int_company_aliases') }}
),

customers as (
    select * from {{ ref('int_customers') }}
)

select
    aliases.alias_id,
    aliases.survivor_id as customer_id,
    aliases.merged_at
from aliases
inner join customers on aliases.survivor_id = customers.customer_id
