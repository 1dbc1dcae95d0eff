{{ config(
    unique_key=['contact_id', 'customer_id'],
    post_hook=[
        "{{ remove_ended_memberships() }}",
        "{{ foreign_key('contact_id', ref('contacts'), 'contact_id') }}",
        "{{ foreign_key('customer_id', ref('customers'), 'customer_id') }}",
    ],
) }}
{{ publish_gate() }}

select
    contact_id,
    customer_id,
    is_primary,
    labels
from {{ ref('int_memberships') }}
