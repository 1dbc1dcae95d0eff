with source as (
    select * from {{ source('hubspot_raw', 'owners') }}
),

renamed as (
    select
        id as owner_id,
        nullif(trim(concat(first_name, ' ', last_name)), '') as name,
        {{ as_text('email') }} as email,
        archived as is_archived
    from source
)

select * from renamed
