{#- A foreign key of an app table, added once. Only PostgreSQL: DuckDB cannot add one
    to an existing table, and refuses updates of referred rows within one transaction;
    there the tests on the models before say the same before anything is published. -#}
{% macro foreign_key(child, column, parent, parent_column) -%}
    {{ return(adapter.dispatch('foreign_key', 'hubsync')(
        child, column, parent, parent_column)) }}
{%- endmacro %}

{% macro default__foreign_key(child, column, parent, parent_column) -%} {%- endmacro %}

{#- An app that had the parent before us may have no key on that column yet. -#}
{% macro postgres__foreign_key(child, column, parent, parent_column) -%}
    {%- set name = child.identifier ~ '_' ~ column ~ '_fkey' %}
    do $$ begin
        if not exists (
            select from pg_constraint
            where conname = '{{ name }}' and conrelid = '{{ child }}'::regclass
        ) then
            if not exists (
                select
                from pg_index
                inner join pg_attribute on attrelid = indrelid
                where
                    indrelid = '{{ parent }}'::regclass
                    and attname = '{{ parent_column }}'
                    and indisunique
                    and indpred is null
                    and indnkeyatts = 1
                    and indkey[0] = attnum
            ) then
                alter table {{ parent }} add unique ({{ parent_column }});
            end if;
            alter table {{ child }} add constraint {{ name }}
                foreign key ({{ column }}) references {{ parent }} ({{ parent_column }});
        end if;
    end $$
{%- endmacro %}
