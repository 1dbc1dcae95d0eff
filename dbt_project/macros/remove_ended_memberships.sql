{#- The one deletion in app: a link that HubSpot no longer has while both of its ends
    are live. int_memberships keeps every other one. -#}
{% macro remove_ended_memberships() -%}
    delete from {{ ref('memberships') }} as published
    where not exists (
        select 1
        from {{ ref('int_memberships') }} as memberships
        where
            memberships.contact_id = published.contact_id
            and memberships.customer_id = published.customer_id
    );
    delete from {{ ref('published_rows') }} as remembered
    where
        remembered.table_name = 'memberships'
        and not exists (
            select 1
            from {{ ref('int_memberships') }} as memberships
            where
                {{ row_key(['contact_id', 'customer_id'], 'memberships') }}
                = remembered.row_key
        )
{%- endmacro %}
