{#- After the statement that makes a table: PostgreSQL has no statistics of it, autovacuum
    comes a minute later, and what is built next would be planned by guesses. -#}
{% macro with_statistics(relation) -%}
    {{ return(adapter.dispatch('with_statistics', 'hubsync')(relation)) }}
{%- endmacro %}

{% macro default__with_statistics(relation) -%} {%- endmacro %}

{% macro postgres__with_statistics(relation) -%}
    ; analyze {{ relation }}
{%- endmacro %}
