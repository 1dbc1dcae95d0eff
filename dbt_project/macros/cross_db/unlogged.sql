{#- Tables that are made anew from raw, in PostgreSQL without its write-ahead log: half
    of what a run writes is in them. A crash of the server empties all of them together,
    int_clock too, which always has a row: by that hubsync knows it (pipelines/models.py)
    and builds everything. -#}
{% macro unlogged() -%}
    {{ return(adapter.dispatch('unlogged', 'hubsync')()) }}
{%- endmacro %}

{% macro default__unlogged() -%} {%- endmacro %}

{% macro postgres__unlogged() -%}
    {{ 'unlogged' if config.get('unlogged') }}
{%- endmacro %}
