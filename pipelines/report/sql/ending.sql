-- What ends within 30 days by itself: overrides, graces, and other access.
select
    'override' as kind,
    overrides.customer_id,
    customers.name,
    overrides.effect,
    overrides.ends_at,
    access.reason_code,
    cast(access.evidence as text) as evidence,
    customers.hubspot_url
from intermediate.int_customer_overrides as overrides
inner join app.customers as customers
    on overrides.customer_id = customers.customer_id
left join app.access as access on overrides.customer_id = access.customer_id
where
    overrides.is_in_force
    and overrides.ends_at > now()
    and overrides.ends_at <= now() + interval '30 days'
union all
select
    case access.reason_code when 'GRACE' then 'grace' else 'access' end as kind,
    access.customer_id,
    customers.name,
    'grant' as effect,
    access.access_until as ends_at,
    access.reason_code,
    cast(access.evidence as text) as evidence,
    customers.hubspot_url
from app.access as access
inner join app.customers as customers
    on access.customer_id = customers.customer_id
where
    access.is_enabled
    and access.reason_code <> 'OVERRIDE_GRANT'
    and customers.record_state <> 'merged'
    and access.access_until > now()
    and access.access_until <= now() + interval '30 days'
order by ends_at, name, customer_id
