{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'linked_records'},
) }}

-- depends_on: {{ ref('int_linked_records_touched') }}
-- The one company that a record belongs to: the primary one, else the lowest id of
-- several, which is stable and raises a finding. Merged-away companies are followed.
with associations as (
    select * from {{ ref('stg_hubspot__associations') }}
    where
        to_type = 'companies'
        and from_type <> 'companies'
    {{ and_only_rows_to_build('from_type, from_id') }}
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

companies as (
    select * from {{ ref('stg_hubspot__companies') }}
    where record_state = 'live'
),

named_on_deal as (
    select
        deal_id,
        primary_company_id
    from {{ ref('stg_hubspot__deals') }}
),

links as (
    select
        associations.from_type as object_type,
        associations.from_id as object_id,
        companies.company_id,
        max(case
            when associations.is_primary then 2
            when named_on_deal.primary_company_id = companies.company_id then 1
            else 0
        end) as primacy
    from associations
    left join aliases on associations.to_id = aliases.alias_id
    inner join companies
        on companies.company_id = coalesce(aliases.survivor_id, associations.to_id)
    left join named_on_deal
        on
            associations.from_type = 'deals'
            and associations.from_id = named_on_deal.deal_id
    group by associations.from_type, associations.from_id, companies.company_id
),

ranked as (
    select
        object_type,
        object_id,
        company_id,
        primacy,
        row_number() over (
            partition by object_type, object_id
            order by primacy desc, length(company_id), company_id asc
        ) as preference,
        count(*) over (partition by object_type, object_id) as company_count
    from links
)

select
    object_type,
    object_id,
    company_id as customer_id,
    company_count,
    primacy = 0 and company_count > 1 as is_ambiguous
from ranked
where preference = 1
