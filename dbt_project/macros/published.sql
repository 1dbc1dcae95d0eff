{#-
    How a table of app is made and what it will receive. The table itself is made once,
    by its contract, and later only gains columns: the app has its own columns, indexes,
    triggers and foreign keys on it. The model's rows that differ from it are staged
    beside the models they come from; app.access, which comes last, merges what is
    staged for every table in one transaction.
-#}
{% materialization published, default %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set published = this.incorporate(type='table') -%}
    {%- if existing is none -%}
        {%- do run_query(get_create_table_as_sql(
            False, published, 'select * from (' ~ sql ~ '\n) as no_row_yet where false'
        )) -%}
    {%- elif not existing.is_table -%}
        {%- do exceptions.raise_compiler_error(
            this ~ ' is a ' ~ existing.type ~ ', so nothing can be published to it. '
            ~ 'Rename it; hubsync then makes the table.'
        ) -%}
    {%- else -%}
        {%- do run_query(get_assert_columns_equivalent(sql) ~ 'select 1') -%}
        {%- set present = adapter.get_columns_in_relation(existing)
            | map(attribute='name') | list -%}
        {%- for column in model.columns.values() if column.name not in present -%}
            {%- do run_query('alter table ' ~ published ~ ' add column '
                ~ column.name ~ ' ' ~ column.data_type) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do persist_docs(published, model) -%}

    {%- set staged = staged_rows(published) -%}
    {%- set merge = merge_of(model) -%}
    {% call statement('main') -%}
        {{ without_nested_loops() if not by_rows() }}
        drop table if exists {{ staged }};
        create table {{ staged }} {{ without_autovacuum() }} as
        select source.*
        from (
            {{ sql }}
        ) as source
        left join {{ published }} as dest
            on {{ same_key(merge.key, 'source', 'dest') }}
        where
            dest.{{ merge.key[0] }} is null
            {%- if merge.compared %}
            or {{ differs(merge.compared, 'source', 'dest') }}
            {%- endif %}
        {{ with_statistics(staged) }}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [published]}) }}
{% endmaterialization %}

{#- Where the rows wait that a publication will write to a table of app. -#}
{% macro staged_rows(published) -%}
    {{- return(api.Relation.create(
        database=published.database,
        schema='intermediate',
        identifier='publish_' ~ published.identifier,
        type='table',
    )) -}}
{%- endmacro %}

{#- Post-hook of app.access: write what is staged for a table of app, say which of
    these rows had been edited by hand, and remember what they are now. -#}
{% macro publish(published) -%}
    {%- if execute -%}
    {%- set merge = merge_of(graph.nodes['model.' ~ project_name ~ '.' ~ published.identifier]) -%}
    {%- set staged = staged_rows(published) -%}
    {%- if merge.compared %}
    {%- do merge.update({'typed': compared_columns(published, merge)}) %}
    {{ note_manual_edits(published, staged, merge) }};
    {%- endif %}
    {{ merge_rows_that_differ(published, staged, merge) }};
    {%- if merge.compared %}
    {{ remember_published_rows(published, staged, merge) }};
    {%- endif %}
    {%- endif -%}
{%- endmacro %}
