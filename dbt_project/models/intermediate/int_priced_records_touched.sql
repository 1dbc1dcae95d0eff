{{ config(meta={'rows': 'changes'}, tags=['every_raw_table']) }}

-- Deals and commerce subscriptions whose line items may add up to something else than
-- when that was last built; one empty row for all of them.
{% if by_rows() %}
    with products as (
        select id from ops.raw_changes
        where table_name = 'products'
    ),

    line_items as (
        select id as line_item_id from ops.raw_changes
        where table_name = 'line_items'
        union
        select line_item_id from {{ ref('stg_hubspot__line_items') }}
        where product_id in (select products.id from products)
    )

    select
        from_type as parent_type,
        from_id as parent_id
    from {{ ref('stg_hubspot__associations') }}
    where
        to_type = 'line_items'
        and to_id in (select line_items.line_item_id from line_items)
    union
    select
        object_type as parent_type,
        id as parent_id
    from ops.raw_changes
    where table_name = 'associations'
    union
    select
        'deals' as parent_type,
        id as parent_id
    from ops.raw_changes
    where table_name = 'deals'
{% else %}
    -- depends_on: {{ ref('stg_hubspot__associations') }}
    -- depends_on: {{ ref('stg_hubspot__line_items') }}
    -- depends_on: {{ ref('stg_hubspot__deals') }}
    -- depends_on: {{ ref('stg_hubspot__policy_values') }}
    select
        '' as parent_type,
        '' as parent_id
{% endif %}
