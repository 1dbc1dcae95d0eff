{#- The columns of a view, as (name, type), where somebody's own view or function reads
    it: PostgreSQL then refuses to drop it, and replaces it only by one that begins with
    the same columns. Empty where it may be dropped, on DuckDB always. -#}
{% macro columns_in_use(view) -%}
    {{ return(adapter.dispatch('columns_in_use', 'hubsync')(view)) }}
{%- endmacro %}

{% macro default__columns_in_use(view) -%} {{ return([]) }} {%- endmacro %}

{% macro postgres__columns_in_use(view) -%}
    {{- return(run_query(
        "select attname as name, format_type(atttypid, atttypmod) as type"
        ~ " from pg_attribute"
        ~ " where attrelid = to_regclass('" ~ view.render() ~ "') and attnum > 0"
        ~ " and exists (select from pg_depend where refobjid = attrelid"
        ~ " and refclassid = 'pg_class'::regclass and deptype = 'n')"
        ~ " order by attnum"
    ).rows) -}}
{%- endmacro %}
