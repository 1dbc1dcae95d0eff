{#- Every value is there and appears once: one query instead of `unique` and `not_null`,
    since each costs a sync some hundredths of a second. -#}
{% test primary_key(model, column_name) %}
    select
        {{ column_name }},
        count(*) as row_count
    from {{ model }}
    group by {{ column_name }}
    having count(*) > 1 or {{ column_name }} is null
{% endtest %}
