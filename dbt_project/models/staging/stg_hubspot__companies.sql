{{ config(
    materialized='rebuilt_rows',
    unique_key=['company_id'],
    meta={'rows': 'companies'},
) }}

with source as (
    select
        id,
        _state,
        _merged_into,
        _created_at,
        _updated_at,
        _archived_at,
        {{ hubspot_properties('companies', {
            'hs_merged_object_ids': 'merged_ids',
            'name': 'name',
            'domain': 'domain',
            'phone': 'phone',
            'address': 'address',
            'city': 'city',
            'state': 'state',
            'zip': 'zip',
            'country': 'country',
            'lifecyclestage': 'lifecycle_stage',
            'hubspot_owner_id': 'owner_id',
            'hs_parent_company_id': 'parent_id',
        }) }}
    from {{ raw_table(source('hubspot_raw', 'companies')) }}
),

typed as (
    select
        id as company_id,
        _state as record_state,
        _merged_into as merged_into_id,
        {{ as_text('merged_ids') }} as merged_ids,
        {{ as_text('parent_id') }} as parent_company_id,
        {{ as_text('owner_id') }} as owner_id,
        {{ as_text('name') }} as name,
        {{ as_text('domain') }} as domain,
        {{ as_text('phone') }} as phone,
        {{ as_text('address') }} as address,
        {{ as_text('city') }} as city,
        {{ as_text('state') }} as state,
        {{ as_text('zip') }} as zip,
        {{ as_text('country') }} as country,
        {{ as_text('lifecycle_stage') }} as lifecycle_stage,
        _created_at as created_at,
        _updated_at as updated_at,
        _archived_at as archived_at
    from source
)

select * from typed
