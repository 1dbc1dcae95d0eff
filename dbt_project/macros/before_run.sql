{#- A table as it is before this run, or an empty one of the same shape where it does
    not exist yet; a column that it lacks is null, as in an app that had its tables
    before us. By name, not by ref: it comes after the models that ask. Columns are
    (name, type) pairs. -#}
{% macro before_run(table, columns, schema='app') -%}
    {{- every_run() -}}
    {%- set relation = adapter.get_relation(target.database, schema, table)
        if execute else none -%}
    {%- set present = adapter.get_columns_in_relation(relation)
        | map(attribute='name') | list if relation else [] %}
    select
        {%- for name, type in columns %}
        cast({{ name if name in present else 'null' }} as {{ type }}) as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    {% if relation -%} from {{ relation }} {%- else -%} where false {%- endif %}
{%- endmacro %}
