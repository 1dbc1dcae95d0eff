with source as (
    select
        id,
        _state,
        _updated_at,
        {{ hubspot_property('products', 'name', 'name') }}
    from {{ raw_table(source('hubspot_raw', 'products')) }}
),

typed as (
    select
        id as product_id,
        _state as record_state,
        {{ as_text('name') }} as name,
        _updated_at as updated_at
    from source
)

select * from typed
