{{ config(unique_key='alias_id') }}
{{ publish_gate() }}

select
    alias_id,
    customer_id,
    merged_at
from {{ ref('int_customer_aliases') }}
