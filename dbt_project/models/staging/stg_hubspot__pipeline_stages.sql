with source as (
    select * from {{ source('hubspot_raw', 'pipelines') }}
),

typed as (
    select
        object_type,
        pipeline_id,
        stage_id,
        _state as record_state,
        pipeline_label,
        stage_label,
        {{ as_number('probability') }} as probability,
        {{ as_boolean('is_closed') }} as is_closed
    from source
)

select * from typed
