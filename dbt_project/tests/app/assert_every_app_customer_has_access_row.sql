-- The app asks access about every customer: there must be an answer.
select customers.customer_id
from {{ ref('customers') }} as customers
left join {{ ref('access') }} as published
    on customers.customer_id = published.customer_id
where published.customer_id is null
