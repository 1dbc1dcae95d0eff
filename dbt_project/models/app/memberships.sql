{{ config(unique_key=['contact_id', 'customer_id'], meta={'rows': 'people'}) }}
{{ publish_gate() }}

select
    contact_id,
    customer_id,
    is_primary,
    labels
from {{ ref('int_memberships') }}
{{ only_rows_to_build() }}
