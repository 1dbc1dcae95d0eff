-- The app refers to its customers: whatever became of the record, the row stays and
-- has a verdict, unless its survivor is not in raw either.
select published.customer_id
from {{ ref('int_customers_before_run') }} as published
left join {{ ref('int_customers') }} as customers
    on published.customer_id = customers.customer_id
where customers.customer_id is null
