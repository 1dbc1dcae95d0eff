-- The app's customers are HubSpot's, value by value. Fails when someone has edited
-- the app's copy by hand, or a publication was not complete.
-- depends_on: {{ ref('access') }}
select customers.customer_id
from {{ ref('int_customers') }} as customers
left join {{ ref('customers') }} as published
    on customers.customer_id = published.customer_id
where {{ differs(app_customer_columns(), 'customers', 'published') }}
