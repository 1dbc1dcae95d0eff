{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
) }}
{#- Values that are there and cannot be read as what they should be. They count as
    absent, and someone has to know. -#}
{%- set typed_properties = [
    ('deals', 'amount', 'number'),
    ('deals', 'hs_mrr', 'number'),
    ('deals', 'hs_is_closed_won', 'boolean'),
    ('deals', 'hs_is_closed_lost', 'boolean'),
    ('deals', 'closedate', 'timestamp'),
    ('line_items', 'quantity', 'number'),
    ('line_items', 'price', 'number'),
    ('line_items', 'amount', 'number'),
    ('line_items', 'hs_mrr', 'number'),
    ('line_items', 'hs_term_in_months', 'number'),
    ('line_items', 'hs_recurring_billing_start_date', 'date'),
    ('line_items', 'hs_recurring_billing_end_date', 'date'),
    ('subscriptions', 'hs_last_payment_amount', 'number'),
    ('subscriptions', 'hs_next_payment_amount', 'number'),
] -%}
{%- set named = [] -%}
{%- for object_type, property, type in typed_properties -%}
    {%- do named.append((object_type, property)) -%}
{%- endfor -%}
{%- set values = hubspot_expressions(named) -%}

with typed_values as (
    {%- for object_type, property, type in typed_properties %}
        select
            '{{ object_type }}' as object_type,
            id as object_id,
            '{{ property }}' as property,
            '{{ type }}' as expected,
            {{ values[(object_type, property)] }} as value
        from {{ raw_table(source('hubspot_raw', object_type)) }}
        where _state = 'live'
        union all
    {%- endfor %}
    select
        object_type,
        object_id,
        property,
        'date' as expected,
        value
    from {{ ref('stg_hubspot__policy_values') }}
    where
        kind = 'date'
        and record_state = 'live'
    {{ and_only_rows_to_build() }}
)

select distinct
    object_type,
    object_id,
    property,
    expected,
    value
from typed_values
where
    value <> ''
    and case expected
        when 'number' then {{ as_number('value') }} is null
        when 'boolean' then {{ as_boolean('value') }} is null
        else {{ as_timestamp('value') }} is null
    end
