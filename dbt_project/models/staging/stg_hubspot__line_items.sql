with source as (
    select
        id,
        _state,
        _updated_at,
        {{ hubspot_property('line_items', 'hs_product_id', 'product_id') }},
        {{ hubspot_property('line_items', 'name', 'name') }},
        {{ hubspot_property('line_items', 'recurringbillingfrequency', 'frequency') }},
        {{ hubspot_property('line_items', 'hs_recurring_billing_period', 'period') }},
        {{ hubspot_property('line_items', 'hs_line_item_currency_code', 'currency') }},
        {{ hubspot_property('line_items', 'quantity', 'quantity') }},
        {{ hubspot_property('line_items', 'price', 'price') }},
        {{ hubspot_property('line_items', 'amount', 'amount') }},
        {{ hubspot_property('line_items', 'hs_mrr', 'mrr') }},
        {{ hubspot_property('line_items', 'hs_term_in_months', 'term_months') }},
        {{ hubspot_property(
            'line_items', 'hs_recurring_billing_start_date', 'starts') }},
        {{ hubspot_property(
            'line_items', 'hs_recurring_billing_end_date', 'ends') }}
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
