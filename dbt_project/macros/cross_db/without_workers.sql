{#- Where a run builds what has changed, four statements at a time and most of them short,
    PostgreSQL's parallel workers cost more than they bring, and the server is the app's. -#}
{% macro without_workers() -%}
    {{ return(adapter.dispatch('without_workers', 'hubsync')()) }}
{%- endmacro %}

{% macro default__without_workers() -%} {%- endmacro %}

{% macro postgres__without_workers() -%}
    set local max_parallel_workers_per_gather = 0;
{%- endmacro %}
