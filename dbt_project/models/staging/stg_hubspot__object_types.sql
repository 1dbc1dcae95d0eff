with source as (
    select * from {{ source('hubspot_raw', 'object_types') }}
),

renamed as (
    select
        object_type,
        object_type_id,
        label_singular
    from source
)

select * from renamed
