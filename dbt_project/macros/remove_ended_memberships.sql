{#- The one deletion in app: a link that HubSpot no longer has while both of its ends
    are live. int_memberships keeps every other one. -#}
{% macro remove_ended_memberships() -%}
    delete from {{ ref('memberships') }} as published
    using {{ ref('int_memberships_ended') }} as ended
    where
        published.contact_id = ended.contact_id
        and published.customer_id = ended.customer_id;
    delete from {{ ref('published_rows') }} as remembered
    using {{ ref('int_memberships_ended') }} as ended
    where
        remembered.table_name = 'memberships'
        and remembered.row_key = {{ row_key(['contact_id', 'customer_id'], 'ended') }}
{%- endmacro %}
