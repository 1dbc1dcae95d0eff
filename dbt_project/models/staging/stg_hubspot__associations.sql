{{ config(
    materialized='rebuilt_rows',
    unique_key=['from_type', 'from_id'],
    meta={'rows': 'associations', 'looked_up_by': ['to_type', 'to_id']},
) }}

-- What models read: whose company a record is, and what was sold with it.
with source as (
    select * from {{ source('hubspot_raw', 'associations') }}
    where
        to_type in ('companies', 'line_items')
    {{ and_only_rows_to_build() }}
),

renamed as (
    select
        from_type,
        from_id,
        to_type,
        to_id,
        category,
        label,
        type_id,
        {{ is_primary_association() }} as is_primary
    from source
)

select * from renamed
