{#- After the statement that makes a table: PostgreSQL has no statistics of it, autovacuum
    comes a minute later, and what is built next would be planned by guesses. -#}
{% macro with_statistics(relation) -%}
    {{ return(adapter.dispatch('with_statistics', 'hubsync')(relation)) }}
{%- endmacro %}

{% macro default__with_statistics(relation) -%} {%- endmacro %}

{% macro postgres__with_statistics(relation) -%}
    -- A sample of 3,000 rows, not of 30,000, which would take as long as the table: all
    -- is joined by hashing, so that sizes matter and distributions do not.
    ; set local default_statistics_target = 10
    ; analyze {{ relation }}
{%- endmacro %}
