{#- A foreign key of an app table, added once. Only PostgreSQL: DuckDB cannot add one
    to an existing table, and refuses updates of referred rows within one transaction;
    there the `relationships` tests say the same after every build. -#}
{% macro foreign_key(column, parent, parent_column) -%}
    {{ return(adapter.dispatch('foreign_key', 'hubsync')(column, parent, parent_column)) }}
{%- endmacro %}

{% macro default__foreign_key(column, parent, parent_column) -%} {%- endmacro %}

{% macro postgres__foreign_key(column, parent, parent_column) -%}
    {%- set name = this.identifier ~ '_' ~ column ~ '_fkey' %}
    do $$ begin
        if not exists (
            select from pg_constraint
            where conname = '{{ name }}' and conrelid = '{{ this }}'::regclass
        ) then
            alter table {{ this }} add constraint {{ name }}
                foreign key ({{ column }}) references {{ parent }} ({{ parent_column }});
        end if;
    end $$
{%- endmacro %}
