{#- An index on what a table is merged on, or looked up by under another name, so that a
    few rows are read as a few.
    DuckDB joins by hashing, and an index there would only slow its writes. -#}
{% macro merge_key_index(relation, columns, name='key') -%}
    {{ return(adapter.dispatch('merge_key_index', 'hubsync')(relation, columns, name)) }}
{%- endmacro %}

{% macro default__merge_key_index(relation, columns, name) -%} {%- endmacro %}

{% macro postgres__merge_key_index(relation, columns, name) -%}
    create index if not exists {{ relation.identifier }}_{{ name }}
    on {{ relation }} ({{ columns | join(', ') }})
{%- endmacro %}
