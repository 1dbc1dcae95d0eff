-- The app's customers are HubSpot's, value by value. Fails when someone has edited
-- the app's copy by hand, or a publication was not complete.
-- depends_on: {{ ref('access') }}
select {{ app_customer_columns() }} from {{ ref('int_customers') }}
except
select {{ app_customer_columns() }} from {{ ref('customers') }}
