-- A customer without a row in access would be a question the app cannot answer. Only
-- one merged into a company that raw does not have keeps the row it had.
select customers.customer_id
from {{ ref('int_customers') }} as customers
left join {{ ref('int_access_verdicts') }} as verdicts
    on customers.customer_id = verdicts.customer_id
where verdicts.customer_id is null and customers.surviving_customer_id is null
