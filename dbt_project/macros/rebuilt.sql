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

{#-
    On-run-start hook: views that are about to be made anew go while nothing else runs.
    PostgreSQL drops them with the first table they read and locks them until that table
    is there again; tables that are made at the same time would wait for each other, one
    after the other at best, and else in a circle.
-#}
{% macro drop_views_to_rebuild() -%}
    {%- set selected = selected_resources if execute and flags.WHICH in ('build', 'run') -%}
    {%- for id in selected or [] if id in graph.nodes -%}
        {%- set node = graph.nodes[id] -%}
        {%- set reads_models = node.depends_on.nodes | select('in', selected) | list -%}
        {%- if node.config.materialized == 'rebuilt_view' and reads_models -%}
            {%- set view = load_cached_relation(api.Relation.create(
                database=node.database, schema=node.schema, identifier=node.alias
            )) -%}
            {%- if view is not none and view.is_view %}
                drop view if exists {{ view }} cascade;
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
