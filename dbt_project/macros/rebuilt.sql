{#-
    Tables and views that every run makes anew: dropped and created in one transaction
    and one statement. dbt's own `table` and `view` build beside the old relation, rename
    twice and drop it after the commit, eight statements to the same end, and they took a
    third of an unchanged sync; nobody reads these layers while a run is at work on them.
-#}
{% materialization rebuilt_table, default %}
    {{ return(rebuilt('table')) }}
{% endmaterialization %}

{% materialization rebuilt_view, default %}
    {{ return(rebuilt('view')) }}
{% endmaterialization %}

{% macro rebuilt(kind, index=none) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set meta = config.get('meta') -%}
    {%- set relation = this.incorporate(type=kind) -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') -%}
        {{ without_nested_loops() if not (meta.looks_up or (meta.rows and by_rows())) }}
        {{ without_workers() if var('whole_tables', none) is not none }}
        {%- if existing is not none %}
        drop {{ existing.type }} if exists {{ this }} cascade;
        {%- endif %}
        create {{ unlogged() if kind == 'table' }} {{ kind }} {{ relation }}
        {{ without_autovacuum() if kind == 'table' and index is none }} as
        {{ sql }}
        {%- if index is not none and index | trim %}
        ; {{ index }}
        {%- endif %}
        {{ with_statistics(relation) if kind == 'table' }}
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(relation, model) -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [relation]}) }}
{%- endmacro %}
