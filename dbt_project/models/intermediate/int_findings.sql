-- All findings with the record and customer they are about.
with findings as (
    select * from {{ ref('int_findings_about_values') }}
    union all
    select * from {{ ref('int_findings_about_policy') }}
    union all
    select * from {{ ref('int_findings_about_deals') }}
    union all
    select * from {{ ref('int_findings_about_customers') }}
    union all
    select * from {{ ref('int_findings_about_access') }}
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
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
    described.object_type,
    described.object_id,
    customers.customer_id,
    described.what_to_do,
    described.hubspot_url
from described
left join customers on described.customer_id = customers.customer_id
