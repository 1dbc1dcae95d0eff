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
        -- By id: HubSpot renames labels, and says not to rely on them.
        category = 'HUBSPOT_DEFINED'
        and type_id in (1, 2, 5, 6, 25, 26, 509) as is_primary
    from source
)

select * from renamed
