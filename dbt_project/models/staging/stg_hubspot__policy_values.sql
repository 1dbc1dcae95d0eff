{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'policy_values'},
    tags=['any_raw_table'],
) }}
{#- One row per record and property that a seed names: what people configure stays
    data, and no model has to know which property it is. -#}
{%- set properties = policy_properties() -%}
{%- set pairs = [] -%}
{%- for named in properties -%}
    {%- do pairs.append((named['object_type'], named['property'])) -%}
{%- endfor -%}
{%- set values = hubspot_expressions(pairs) -%}
{%- for named in properties %}
    {%- set raw = source('hubspot_raw', 'properties').incorporate(
        path={'identifier': named['object_type']}) %}
    {%- set is_date = named['kind'] == 'date' %}
    {%- set value = values[(named['object_type'], named['property'])] %}
    select
        '{{ named["object_type"] }}' as object_type,
        id as object_id,
        '{{ named["property"] }}' as property,
        '{{ named["kind"] }}' as kind,
        trim({{ value }}) as value,
        {{ as_date('trim(' ~ value ~ ')') if is_date else 'cast(null as date)' }} as day,
        _state as record_state,
        _updated_at as updated_at
    from {{ raw_table(raw) }}
    where {{ value }} <> ''
    {{ 'union all' if not loop.last }}
{%- else %}
    select
        cast(null as text) as object_type,
        cast(null as text) as object_id,
        cast(null as text) as property,
        cast(null as text) as kind,
        cast(null as text) as value,
        cast(null as date) as day,
        cast(null as text) as record_state,
        cast(null as timestamptz) as updated_at
    where false
{%- endfor %}
