{{ config(unique_key='customer_id') }}
{{ publish_gate() }}

select
    {{ app_customer_columns() | join(', ') }},
    {{ now() }} as synced_at
from {{ ref('int_customers') }}
