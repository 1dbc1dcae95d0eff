{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'published_people'},
) }}

-- Contacts that may be others, or belong to others, than app has been told; one empty
-- row for all of them. They stay until a publication has told it.
{% if by_rows() %}
    with known as (
        select * from {{ touched('int_people_known') }}
    ),

    customers as (
        select * from {{ ref('int_customers') }}
    ),

    known_customers as (
        select
            id as customer_id,
            detail as record_state
        from known
        where kind = 'customer'
    ),

    -- Those of now and those that were.
    aliases as (
        select
            alias_id,
            survivor_id
        from {{ ref('int_contact_aliases') }}
        union
        select
            id as alias_id,
            detail as survivor_id
        from known
        where kind = 'alias'
    ),

    changed_companies as (
        select id from ops.raw_changes where table_name = 'companies'
        union
        select coalesce(customers.customer_id, known_customers.customer_id) as id
        from customers
        full join known_customers on customers.customer_id = known_customers.customer_id
        where customers.record_state is distinct from known_customers.record_state
    ),

    companies as (
        select id from changed_companies
        union
        select alias_id from {{ ref('int_company_aliases') }}
        where survivor_id in (select id from changed_companies)
    ),

    changed as (
        select id as contact_id from ops.raw_changes
        where
            table_name = 'contacts'
            or (table_name = 'associations' and object_type = 'contacts')
        union
        select from_id from {{ ref('stg_hubspot__associations') }}
        where
            from_type = 'contacts'
            and to_type = 'companies'
            and to_id in (select id from companies)
        union
        select contact_id from {{ touched('int_member_links') }}
        where customer_id in (select id from companies)
        union
        select contact_id from {{ touched('int_memberships') }}
        where customer_id in (select id from companies)
    ),

    survivors as (
        select contact_id from changed
        union
        select aliases.survivor_id from changed
        inner join aliases on changed.contact_id = aliases.alias_id
    )

    select
        contact_id,
        false as is_published
    from survivors
    union
    select
        aliases.alias_id,
        false as is_published
    from survivors
    inner join aliases on survivors.contact_id = aliases.survivor_id
{% else %}
    -- depends_on: {{ ref('int_customers') }}
    -- depends_on: {{ ref('int_contact_aliases') }}
    -- depends_on: {{ ref('int_company_aliases') }}
    -- depends_on: {{ ref('stg_hubspot__associations') }}
    select
        '' as contact_id,
        false as is_published
{% endif %}
