with source as (
    select * from {{ source('hubspot_raw', 'associations') }}
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
