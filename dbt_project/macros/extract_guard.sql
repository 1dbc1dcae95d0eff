{#- Post-hook of app.access: what the next run is compared with. A type that is held
    keeps its old count, or the next run would have forgotten the loss. -#}
{% macro record_extract_counts() -%}
    merge into {{ ref('extract_counts') }} as counts
    using (
        select guard.object_type, guard.rows_now
        from {{ ref('extract_guard') }} as guard
        where not guard.is_held
    ) as counted
        on counts.object_type = counted.object_type
    when matched and counts.live_rows <> counted.rows_now then update set
        live_rows = counted.rows_now,
        counted_at = {{ now() }},
        run_id = {{ run_id() }}
    when not matched then insert (object_type, live_rows, counted_at, run_id)
        values (counted.object_type, counted.rows_now, {{ now() }}, {{ run_id() }})
{%- endmacro %}
