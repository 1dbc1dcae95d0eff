{{ config(
    materialized='rebuilt_rows',
    unique_key=['contact_id'],
    meta={'rows': 'contacts'},
) }}

with source as (
    select
        id,
        _state,
        _merged_into,
        _created_at,
        _updated_at,
        _archived_at,
        {{ hubspot_properties('contacts', {
            'hs_merged_object_ids': 'merged_ids',
            'email': 'email',
            'firstname': 'first_name',
            'lastname': 'last_name',
            'phone': 'phone',
            'jobtitle': 'job_title',
            'hubspot_owner_id': 'owner_id',
        }) }}
    from {{ raw_table(source('hubspot_raw', 'contacts')) }}
),

typed as (
    select
        id as contact_id,
        _state as record_state,
        _merged_into as merged_into_id,
        {{ as_text('merged_ids') }} as merged_ids,
        {{ as_text('owner_id') }} as owner_id,
        {{ as_text('email') }} as email,
        {{ as_text('first_name') }} as first_name,
        {{ as_text('last_name') }} as last_name,
        {{ as_text('phone') }} as phone,
        {{ as_text('job_title') }} as job_title,
        _created_at as created_at,
        _updated_at as updated_at,
        _archived_at as archived_at
    from source
)

select * from typed
