-- Every customer with its verdict, for the search. A merged one answers as an alias.
select
    customers.customer_id,
    customers.name,
    customers.domain,
    customers.record_state,
    access.access_level,
    access.is_enabled,
    access.reason_code,
    cast(access.evidence as text) as evidence,
    access.access_until,
    access.effective_at,
    access.version > 0 as has_changes
from app.customers as customers
left join app.access as access on customers.customer_id = access.customer_id
where customers.record_state <> 'merged'
order by customers.customer_id
