-- Every customer with its verdict, for the search. A merged one answers as an alias.
-- Instants in seconds and flags as numbers, as the page's script reads them.
select
    customers.customer_id,
    customers.name,
    customers.domain,
    customers.record_state,
    access.access_level,
    cast(coalesce(access.is_enabled, false) as integer) as is_enabled,
    cast(access.access_level is not null as integer) as is_decided,
    access.reason_code,
    cast(access.evidence as text) as evidence,
    cast(floor(date_part('epoch', access.access_until)) as bigint) as access_until,
    cast(floor(date_part('epoch', access.effective_at)) as bigint) as effective_at,
    cast(coalesce(access.version > 0, false) as integer) as has_changes
from app.customers as customers
left join app.access as access on customers.customer_id = access.customer_id
where customers.record_state <> 'merged'
order by customers.customer_id
