{#- dbt's hook for an incremental strategy of one's own: `merge_changed`. -#}
{% macro get_incremental_merge_changed_sql(arg_dict) %}
    {{ merge_rows_that_differ(
        arg_dict['target_relation'],
        arg_dict['temp_relation'],
        merge_of(model, arg_dict['dest_columns']),
    ) }}
{% endmacro %}
