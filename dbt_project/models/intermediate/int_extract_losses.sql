{%- set share = '%g' | format(var('extract_guard_share') | float * 100) -%}
-- How many rows each type had at the last publication, and has now. A type that came
-- back empty or lost too much is more likely a failure than a decision.
with counts as (
    select * from {{ ref('stg_hubspot__row_counts') }}
),

published as (
    select * from {{ ref('int_extract_counts_before_run') }}
),

compared as (
    select
        coalesce(counts.object_type, published.object_type) as object_type,
        published.live_rows as rows_before,
        coalesce(counts.live_rows, 0) as rows_now,
        coalesce(published.live_rows, 0) - coalesce(counts.live_rows, 0) as rows_lost
    from counts
    full outer join published on counts.object_type = published.object_type
),

guarded as (
    select
        *,
        coalesce(
            (rows_now = 0 and rows_before > 0)
            or rows_lost > greatest(
                {{ var('extract_guard_rows') }},
                rows_before * {{ var('extract_guard_share') }}
            ),
            false
        ) as is_lost
    from compared
    -- What the published tables are made of; any other type may shrink.
    where
        object_type in (
            'companies', 'contacts', 'deals', 'line_items', 'products',
            'subscriptions', 'associations'
        )
)

select
    object_type,
    rows_before,
    rows_now,
    is_lost,
    case
        when is_lost
            then
                'HubSpot gave ' || rows_now || ' ' || object_type || ' instead of '
                || rows_before || ' at the last publication; what depends on them is '
                || 'held when all are gone, or more than the larger of '
                || '{{ var("extract_guard_rows") }} and {{ share }} %.'
    end as detail,
    -- In steps of a tenth: a record more or less does not make it another loss.
    case
        when is_lost
            then
                md5(concat_ws(
                    '|',
                    'extract_guard',
                    object_type,
                    rows_before,
                    cast(ceil(10.0 * rows_lost / rows_before) as integer)
                ))
    end as change_id
from guarded
