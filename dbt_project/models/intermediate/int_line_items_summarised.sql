{{ config(
    materialized='rebuilt_rows',
    unique_key=['parent_type', 'parent_id'],
    meta={'rows': 'priced_records'},
) }}

-- depends_on: {{ ref('int_priced_records_touched') }}
-- What the line items of one deal or commerce subscription add up to. Its dates come
-- from the recurring ones, and there is an end only when every one of them has one.
with line_items as (
    select
        *,
        row_number() over (
            partition by parent_type, parent_id
            order by rank desc nulls last, line_item_id asc
        ) as preference
    from {{ ref('int_line_items_priced') }}
    {{ only_rows_to_build() }}
)

select
    parent_type,
    parent_id,
    max(case when preference = 1 then plan_code end) as plan_code,
    max(case when preference = 1 then access_level end) as access_level,
    min(currency) as currency,
    string_agg(distinct currency, ', ' order by currency) as currencies,
    sum(quantity) as quantity,
    sum(amount) as amount,
    sum(case when is_recurring then mrr end) as mrr,
    min(case when is_recurring then starts_on end) as starts_on,
    case
        when
            count(case when is_recurring then 1 end)
            = count(case when is_recurring then ends_on end)
            then max(case when is_recurring then ends_on end)
    end as ends_on,
    count(*) as line_item_count
from line_items
group by parent_type, parent_id
