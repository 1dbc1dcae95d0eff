{#- The comment of a view, null where there is no such view. -#}
{% macro view_comment(view) -%}
    {{ return(adapter.dispatch('view_comment', 'hubsync')(view)) }}
{%- endmacro %}

{% macro default__view_comment(view) -%}
    {%- set found = run_query(
        "select comment from duckdb_views() where database_name = current_database()"
        ~ " and schema_name = '" ~ view.schema ~ "'"
        ~ " and view_name = '" ~ view.identifier ~ "'"
    ) -%}
    {{- return(found.rows[0][0] if found.rows else none) -}}
{%- endmacro %}

{% macro postgres__view_comment(view) -%}
    {%- set found = run_query(
        "select obj_description(to_regclass('" ~ view.render() ~ "'))"
    ) -%}
    {{- return(found.rows[0][0]) -}}
{%- endmacro %}
