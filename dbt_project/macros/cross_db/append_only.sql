{#- A table that only grows: whoever tries to change or remove a row of it is refused by
    the database itself. DuckDB has neither triggers nor roles. -#}
{% macro append_only(reason) -%}
    {{ return(adapter.dispatch('append_only', 'hubsync')(reason)) }}
{%- endmacro %}

{% macro default__append_only(reason) -%} {%- endmacro %}

{% macro postgres__append_only(reason) -%}
    {%- set function = this.schema ~ '.refuse_change_of_' ~ this.identifier %}
    do $$ begin
        if not exists (
            select from pg_trigger
            where tgname = 'append_only' and tgrelid = '{{ this }}'::regclass
        ) then
            create or replace function {{ function }}() returns trigger
            language plpgsql as $body$ begin
                raise exception
                    '{{ this.schema }}.{{ this.identifier }} is append-only, {{ reason }}: % refused', tg_op
                    using errcode = 'restrict_violation';
            end $body$;
            create trigger append_only
            before update or delete or truncate on {{ this }}
            for each statement execute function {{ function }}();
        end if;
    end $$
{%- endmacro %}
