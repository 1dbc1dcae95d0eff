{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'people', 'looked_up_by': ['lower(email)']},
) }}

-- depends_on: {{ ref('int_contacts_touched') }}
-- People of customers, and those the app has already.
with contacts as (
    select * from {{ ref('stg_hubspot__contacts') }}
),

members as (
    select contact_id from {{ ref('int_member_links') }}
    {{ only_rows_to_build() }}
    union
    select contact_id from {{ ref('int_contacts_before_run') }}
),

aliases as (
    select * from {{ ref('int_contact_aliases') }}
),

urls as (
    select * from {{ ref('int_record_urls') }}
    where object_type = 'contacts'
)

select
    contacts.contact_id,
    contacts.email,
    contacts.first_name,
    contacts.last_name,
    contacts.phone,
    contacts.job_title,
    case when aliases.survivor_id is null then contacts.record_state else 'merged' end
        as record_state,
    urls.url_base || contacts.contact_id as hubspot_url
from contacts
inner join members on contacts.contact_id = members.contact_id
left join aliases on contacts.contact_id = aliases.alias_id
left join urls on true
