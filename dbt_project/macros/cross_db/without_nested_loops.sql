{#- PostgreSQL guesses how many rows a CTE has that several joins read, and where it
    guesses one it joins row by row: minutes for 20,000 companies. Whatever is built here
    is read whole anyway, so it joins by hashing; what it cannot hash it still loops. Not
    where a few rows are built (by_rows.sql), nor in a model that says with `meta.looks_up`
    that it looks a few records up among all of them. -#}
{% macro without_nested_loops() -%}
    {{ return(adapter.dispatch('without_nested_loops', 'hubsync')()) }}
{%- endmacro %}

{% macro default__without_nested_loops() -%} {%- endmacro %}

{% macro postgres__without_nested_loops() -%}
    set local enable_nestloop = off;
{%- endmacro %}
