{#- Every one of these columns has a value in every row: one query instead of a
    not_null test per column, since each costs a sync some hundredths of a second. -#}
{% test no_nulls(model, columns) %}
    select *
    from {{ model }}
    where {{ columns | join(' is null or ') }} is null
{% endtest %}
