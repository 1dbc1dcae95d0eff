with source as (
    select * from {{ source('hubspot_raw', 'portal') }}
),

renamed as (
    select
        portal_id,
        company_currency,
        ui_domain
    from source
)

select * from renamed
