{{ config(meta={'rows': 'changes'}, tags=['every_raw_table']) }}

-- Records that may belong to another company than when that was last built; one empty
-- row for all of them.
{% if by_rows() %}
    with changed as (
        select id from ops.raw_changes where table_name = 'companies'
    ),

    companies as (
        select id from changed
        union
        select alias_id from {{ ref('int_company_aliases') }}
        where survivor_id in (select id from changed)
    )

    select
        object_type,
        id as object_id
    from ops.raw_changes
    where table_name = 'associations'
    union
    select
        'deals' as object_type,
        id as object_id
    from ops.raw_changes
    where table_name = 'deals'
    union
    select
        from_type as object_type,
        from_id as object_id
    from {{ ref('stg_hubspot__associations') }}
    where to_type = 'companies' and to_id in (select id from companies)
    union
    select
        object_type,
        object_id
    from {{ touched('int_records_linked_to_customers') }}
    where customer_id in (select id from companies)
{% else %}
    -- depends_on: {{ ref('int_company_aliases') }}
    -- depends_on: {{ ref('stg_hubspot__associations') }}
    -- depends_on: {{ ref('stg_hubspot__deals') }}
    select
        '' as object_type,
        '' as object_id
{% endif %}
