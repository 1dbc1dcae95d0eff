{#- Insert new rows, update rows that differ, leave every other row untouched.
    dbt's own merge rewrites every matched row on PostgreSQL, which fires the app's
    triggers and moves every xmin for nothing. `synced_at` is never compared and always
    written: it says when the row last really changed. -#}
{% macro get_incremental_merge_changed_sql(arg_dict) %}
    {%- set keys = arg_dict['unique_key'] -%}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- set insert_only = config.get('merge_exclude_columns', []) + keys -%}
    {%- set updated = columns | reject('in', insert_only) | list -%}
    {%- set compared = updated | reject('equalto', 'synced_at') | list %}

    merge into {{ arg_dict['target_relation'] }} as dest
    using {{ arg_dict['temp_relation'] }} as source
        on {% for key in keys -%}
            source.{{ key }} = dest.{{ key }}{{ ' and ' if not loop.last }}
        {%- endfor %}
    {% if compared -%}
    when matched and (
        {%- for column in compared %}
        source.{{ column }} is distinct from dest.{{ column }}{{ ' or' if not loop.last }}
        {%- endfor %}
    ) then update set
        {%- for column in updated %}
        {{ column }} = source.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- endif %}
    when not matched then insert ({{ columns | join(', ') }})
        values (source.{{ columns | join(', source.') }})
{% endmacro %}
