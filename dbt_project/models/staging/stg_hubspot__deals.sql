{{ config(
    materialized='rebuilt_rows',
    unique_key=['deal_id'],
    meta={'rows': 'deals'},
) }}

with source as (
    select
        id,
        _state,
        _merged_into,
        _created_at,
        _updated_at,
        {{ hubspot_properties('deals', {
            'dealname': 'name',
            'pipeline': 'pipeline_id',
            'dealstage': 'stage_id',
            'deal_currency_code': 'currency',
            'hs_primary_associated_company': 'company_id',
            'amount': 'amount',
            'hs_mrr': 'mrr',
            'hs_is_closed_won': 'is_closed_won',
            'hs_is_closed_lost': 'is_closed_lost',
            'closedate': 'closed_at',
            'hubspot_owner_id': 'owner_id',
        }) }}
    from {{ raw_table(source('hubspot_raw', 'deals')) }}
),

typed as (
    select
        id as deal_id,
        _state as record_state,
        _merged_into as merged_into_id,
        {{ as_text('company_id') }} as primary_company_id,
        {{ as_text('name') }} as name,
        {{ as_text('pipeline_id') }} as pipeline_id,
        {{ as_text('stage_id') }} as stage_id,
        {{ as_text('owner_id') }} as owner_id,
        {{ as_text('currency') }} as currency,
        {{ as_number('amount') }} as amount,
        {{ as_number('mrr') }} as mrr,
        {{ as_boolean('is_closed_won') }} as is_closed_won,
        {{ as_boolean('is_closed_lost') }} as is_closed_lost,
        {{ as_timestamp('closed_at') }} as closed_at,
        _created_at as created_at,
        _updated_at as updated_at
    from source
)

select * from typed
