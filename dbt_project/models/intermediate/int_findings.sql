{{ config(meta={'looks_up': true}) }}

{%- set abouts = [
    'access', 'customers', 'companies', 'people', 'deals', 'contracts', 'values',
    'policy',
] -%}
{%- set ids = {
    'companies': 'company_id',
    'contacts': 'contact_id',
    'deals': 'deal_id',
    'subscriptions': 'subscription_record_id',
} -%}
-- All findings with the record and customer they are about, and who in HubSpot has to
-- do something about them.
with findings as (
    {%- for about in abouts %}
        select * from {{ ref('int_findings_about_' ~ about) }}
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Of the million others nobody asks.
links as (
    select * from {{ ref('int_records_linked_to_customers') }}
    where
        (object_type, object_id) in (
            select
                findings.object_type,
                findings.object_id
            from findings
        )
),

subscriptions as (
    select * from {{ ref('int_subscriptions') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

urls as (
    select * from {{ ref('int_record_urls') }}
),

companies as (
    select
        company_id,
        owner_id
    from {{ ref('stg_hubspot__companies') }}
),

-- Who has left HubSpot can do nothing about a finding.
owners as (
    select * from {{ ref('stg_hubspot__owners') }}
    where not is_archived
),

owned as (
    {%- for object_type, id in ids.items() %}
        select
            '{{ object_type }}' as object_type,
            {{ id }} as object_id,
            owner_id
        from {{ ref('stg_hubspot__' ~ object_type) }}
        where
            {{ id }} in (
                select findings.object_id
                from findings
                where findings.object_type = '{{ object_type }}'
            )
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

described as (
    select
        findings.severity,
        findings.kind,
        findings.object_type,
        findings.object_id,
        findings.what_to_do,
        urls.url_base || findings.object_id as hubspot_url,
        case
            when findings.object_type = 'companies' then findings.object_id
            -- Also when HubSpot no longer tells whose it is.
            else coalesce(subscriptions.customer_id, links.customer_id)
        end as customer_id,
        md5(concat_ws(
            '|',
            findings.kind,
            findings.object_type,
            findings.object_id,
            findings.detail
        )) as finding_id
    from findings
    left join links
        on
            findings.object_type = links.object_type
            and findings.object_id = links.object_id
    left join subscriptions
        on
            findings.object_type = subscriptions.object_type
            and findings.object_id = subscriptions.object_id
    left join urls on findings.object_type = urls.object_type
)

select distinct
    described.finding_id,
    described.severity,
    described.kind,
    case described.kind
        {%- for kind, title in finding_titles().items() %}
            when '{{ kind }}' then '{{ title }}'
        {%- endfor %}
    end as title,
    described.object_type,
    described.object_id,
    customers.customer_id,
    described.what_to_do,
    -- Of the record, else of its company.
    case
        when record_owners.owner_id is not null then record_owners.name
        else company_owners.name
    end as owner_name,
    case
        when record_owners.owner_id is not null then record_owners.email
        else company_owners.email
    end as owner_email,
    described.hubspot_url
from described
left join customers on described.customer_id = customers.customer_id
left join owned
    on
        described.object_type = owned.object_type
        and described.object_id = owned.object_id
left join owners as record_owners on owned.owner_id = record_owners.owner_id
left join companies on described.customer_id = companies.company_id
left join owners as company_owners on companies.owner_id = company_owners.owner_id
