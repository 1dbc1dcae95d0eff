{{ config(
    materialized='rebuilt_rows',
    unique_key=['subscription_record_id'],
    meta={'rows': 'subscriptions'},
) }}

with source as (
    select
        id,
        _state,
        _merged_into,
        _created_at,
        _updated_at,
        {{ hubspot_properties('subscriptions', {
            'hs_name': 'name',
            'hs_currency_code': 'currency',
            'hs_last_payment_amount': 'paid',
            'hs_next_payment_amount': 'due',
            'hs_recurring_billing_frequency': 'frequency',
            'hubspot_owner_id': 'owner_id',
        }) }}
    from {{ raw_table(source('hubspot_raw', 'subscriptions')) }}
),

typed as (
    select
        id as subscription_record_id,
        _state as record_state,
        _merged_into as merged_into_id,
        {{ as_text('owner_id') }} as owner_id,
        {{ as_text('name') }} as name,
        {{ as_text('currency') }} as currency,
        {{ as_text('frequency') }} as billing_frequency,
        {{ as_number('paid') }} as last_payment_amount,
        {{ as_number('due') }} as next_payment_amount,
        _created_at as created_at,
        _updated_at as updated_at
    from source
)

select * from typed
