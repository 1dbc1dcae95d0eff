{#- For tables that the next run drops: with_statistics tells the planner of them, and
    autovacuum would read each of them twice after every run, beside the next one. -#}
{% macro without_autovacuum() -%}
    {{ return(adapter.dispatch('without_autovacuum', 'hubsync')()) }}
{%- endmacro %}

{% macro default__without_autovacuum() -%} {%- endmacro %}

{% macro postgres__without_autovacuum() -%}
    with (autovacuum_enabled = false)
{%- endmacro %}
