with source as (
    select * from {{ source('hubspot_raw', 'properties') }}
),

renamed as (
    select
        object_type,
        name as property,
        column_name,
        label,
        type,
        _state as record_state,
        {{ as_text('cast(options as text)') }} as options
    from source
)

select * from renamed
