{#- An index on what a table is merged on, so that a merge of a few rows reads a few.
    DuckDB joins by hashing, and an index there would only slow its writes. -#}
{% macro merge_key_index(relation, columns) -%}
    {{ return(adapter.dispatch('merge_key_index', 'hubsync')(relation, columns)) }}
{%- endmacro %}

{% macro default__merge_key_index(relation, columns) -%} {%- endmacro %}

{% macro postgres__merge_key_index(relation, columns) -%}
    create index if not exists {{ relation.identifier }}_key
    on {{ relation }} ({{ columns | join(', ') }})
{%- endmacro %}
