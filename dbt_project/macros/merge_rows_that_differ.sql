{#- Insert new rows, update rows that differ, leave every other row untouched.
    dbt's own merge rewrites every matched row on PostgreSQL, which fires the app's
    triggers and moves every xmin for nothing. -#}
{% macro merge_rows_that_differ(target_relation, source_relation, merge) %}
    merge into {{ target_relation }} as dest
    using {{ source_relation }} as source
        on {{ same_key(merge.key, 'source', 'dest') }}
    {% if merge.compared -%}
    when matched and ({{ differs(merge.compared, 'source', 'dest') }}) then update set
        {%- for column in merge.updated %}
        {{ column }} = source.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {%- endif %}
    when not matched then insert ({{ merge.columns | join(', ') }})
        values (source.{{ merge.columns | join(', source.') }})
{% endmacro %}

{#- How the rows of a model are merged. `synced_at` is never compared and always
    written: it says when the row last really changed. `merge_exclude_columns` are
    written when a row is new, and never again by the merge. -#}
{% macro merge_of(model, columns=none) -%}
    {%- set keys = model.config.unique_key -%}
    {%- set keys = [keys] if keys is string else keys -%}
    {%- set columns = (columns or model.columns.values()) | map(attribute='name') | list -%}
    {%- set insert_only = (model.config.get('merge_exclude_columns') or []) + keys -%}
    {%- set updated = columns | reject('in', insert_only) | list -%}
    {{- return({
        'key': keys,
        'columns': columns,
        'updated': updated,
        'compared': updated | reject('equalto', 'synced_at') | list,
    }) -}}
{%- endmacro %}

{% macro same_key(keys, one, other) -%}
    {%- for key in keys -%}
        {{ one }}.{{ key }} = {{ other }}.{{ key }}{{ ' and ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{% macro differs(columns, one, other) -%}
    {%- for column in columns %}
        ({{ one }}.{{ column }} is distinct from {{ other }}.{{ column }})
        {{- ' or' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
