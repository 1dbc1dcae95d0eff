{{ config(
    materialized='rebuilt_rows',
    unique_key=['line_item_id'],
    meta={'rows': 'line_items'},
) }}

with source as (
    select
        id,
        _state,
        _updated_at,
        {{ hubspot_properties('line_items', {
            'hs_product_id': 'product_id',
            'name': 'name',
            'recurringbillingfrequency': 'frequency',
            'hs_recurring_billing_period': 'period',
            'hs_line_item_currency_code': 'currency',
            'quantity': 'quantity',
            'price': 'price',
            'amount': 'amount',
            'hs_mrr': 'mrr',
            'hs_term_in_months': 'term_months',
            'hs_recurring_billing_start_date': 'starts',
            'hs_recurring_billing_end_date': 'ends',
        }) }}
    from {{ raw_table(source('hubspot_raw', 'line_items')) }}
),

typed as (
    select
        id as line_item_id,
        _state as record_state,
        {{ as_text('product_id') }} as product_id,
        {{ as_text('name') }} as name,
        {{ as_text('frequency') }} as billing_frequency,
        {{ as_text('period') }} as billing_period,
        {{ as_text('currency') }} as currency,
        {{ as_number('quantity') }} as quantity,
        {{ as_number('price') }} as price,
        {{ as_number('amount') }} as amount,
        {{ as_number('mrr') }} as mrr,
        {{ as_number('term_months') }} as term_months,
        {{ as_date('starts') }} as starts_on,
        {{ as_date('ends') }} as ends_on,
        _updated_at as updated_at
    from source
)

select * from typed
