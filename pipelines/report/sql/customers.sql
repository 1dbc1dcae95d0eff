-- Every customer with its verdict, for the search. A merged one answers as an alias.
with first_publication as (
    select distinct customer_id
    from app.access_events
    where
        from_enabled is null
        and run_id = (
            select oldest.run_id
            from app.access_events as oldest
            order by oldest.event_id
            limit 1
        )
)

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
    first_publication.customer_id is not null as is_in_first_publication
from app.customers as customers
left join app.access as access on customers.customer_id = access.customer_id
left join first_publication
    on customers.customer_id = first_publication.customer_id
where customers.record_state <> 'merged'
order by customers.customer_id
