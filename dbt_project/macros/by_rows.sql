{#-
    Tables of which a run builds only the rows that can have changed (`rebuilt_rows`), so
    that a thousand changes cost the same among ten thousand records and a million.

    Which rows those are is said by `meta.rows`, one of the words of rows_to_build; the
    model itself reads nothing but them where by_rows() is true. (`changes` has none: so
    say the models that tell others theirs.) Everything is built where anybody but
    hubsync runs dbt, where hubsync builds everything, and where a raw table that the
    model descends from has changed and nobody noted in which records.
-#}
{% macro by_rows(node=none) -%}
    {%- set node = node or model -%}
    {%- if not execute or var('whole_tables', none) is none -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- if load_cached_relation(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias
    )) is none -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set whole = var('whole_tables') -%}
    {%- if whole and node.config.meta.get('rows') != 'tables' and any_is_read(whole, node) -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set known_by = {
        'linked_records': ('int_linked_records_touched', 'object_id'),
        'priced_records': ('int_priced_records_touched', 'parent_id'),
        'people': ('int_contacts_touched', 'contact_id'),
        'contracts': ('int_subscriptions_touched', 'object_id'),
        'subscribers': ('int_subscriptions_touched', 'object_id'),
        'addresses': ('int_addresses_touched', 'email'),
    }.get(node.config.meta.get('rows')) -%}
    {{- return(known_by is none or not run_query(
        'select 1 from ' ~ touched(known_by[0]) ~ ' where ' ~ known_by[1] ~ " = ''"
    ).rows) -}}
{%- endmacro %}

{#- Whether a node descends from one of these raw tables. -#}
{% macro any_is_read(tables, node) -%}
    {%- set seen = [node.unique_id] -%}
    {%- for id in seen -%}
        {%- if id.startswith('source.') -%}
            {%- if id.split('.')[-1] in tables -%} {{- return(true) -}} {%- endif -%}
        {%- elif id in graph.nodes -%}
            {%- set found = graph.nodes[id] -%}
            {%- if 'any_raw_table' in found.tags -%} {{- return(true) -}} {%- endif -%}
            {%- for parent in found.depends_on.nodes if parent not in seen -%}
                {%- do seen.append(parent) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(false) -}}
{%- endmacro %}

{#- The keys of what is built by rows, as a query; in the order of the unique key. -#}
{% macro rows_to_build(rows) -%}
    {%- if rows == 'policy_values' -%}
        select table_name, id from ops.raw_changes where id is not null
    {%- elif rows == 'tables' -%}
        select table_name from ops.raw_changes
    {%- elif rows == 'associations' -%}
        select object_type, id from ops.raw_changes
        where table_name = 'associations' and id is not null
    {%- elif rows == 'linked_records' -%}
        select object_type, object_id from {{ touched('int_linked_records_touched') }}
    {%- elif rows == 'priced_records' -%}
        select parent_type, parent_id from {{ touched('int_priced_records_touched') }}
    {%- elif rows == 'contracts' -%}
        select object_type, object_id from {{ touched('int_subscriptions_touched') }}
    {%- elif rows == 'subscribers' -%}
        select last_customer_id from {{ touched('int_subscriptions_touched') }}
        union
        select customer_id from {{ touched('int_subscriptions') }}
        {{ only_rows_to_build(built='int_subscriptions') }}
    {%- elif rows == 'addresses' -%}
        select email from {{ touched('int_addresses_touched') }}
    {%- elif rows == 'published_people' -%}
        select contact_id from {{ touched('int_contacts_touched') }} where is_published
    {%- elif rows == 'people' -%}
        select contact_id from {{ touched('int_contacts_touched') }}
    {%- else -%}
        select id from ops.raw_changes where table_name = '{{ rows }}' and id is not null
    {%- endif -%}
{%- endmacro %}

{#- A where clause: of a relation with these columns, what is to be built of a model, of
    this one or that of another name. -#}
{% macro only_rows_to_build(columns=none, built=none, word='where') -%}
    {%- set node = built_model(built) -%}
    {%- if by_rows(node) -%}
        {{ word }} ({{ columns or row_columns(node) }}) in (
            {{ rows_to_build(node.config.meta.rows) }}
        )
    {%- endif -%}
{%- endmacro %}

{% macro built_model(name) -%}
    {{- return(
        none if not execute
        else graph.nodes['model.' ~ project_name ~ '.' ~ name] if name else model
    ) -}}
{%- endmacro %}

{#- The same after other conditions. -#}
{% macro and_only_rows_to_build(columns=none) -%}
    {{- only_rows_to_build(columns, word='and') -}}
{%- endmacro %}

{#- Whether a raw table has changed, where what is made of each stands by itself. -#}
{% macro is_to_be_counted(relation) -%}
    {{- return(not by_rows() or run_query(
        "select 1 from ops.raw_changes where table_name = '"
        ~ relation.identifier ~ "' limit 1"
    ).rows | length > 0) -}}
{%- endmacro %}

{#- The columns that those keys are of. -#}
{% macro row_columns(node) -%}
    {%- if node.config.meta.rows in ('people', 'published_people') -%}
        contact_id
    {%- elif node.config.meta.rows == 'addresses' -%}
        email
    {%- else -%}
        {{- node.config.unique_key | join(', ') -}}
    {%- endif -%}
{%- endmacro %}

{#- By name, not by ref: tests ask for it too, which dbt knows nothing of. -#}
{% macro touched(identifier) -%}
    {{- api.Relation.create(
        database=target.database, schema='intermediate', identifier=identifier
    ) -}}
{%- endmacro %}

{#- Generic tests of such a table ask of the rows just built. dbt's own hook. -#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node or '') if execute -%}
    {%- set rows = (tested.config.meta or {}).get('rows') if tested -%}
    {%- if rows and relation.identifier == tested.alias -%}
        (select * from {{ relation }} {{ only_rows_to_build(built=tested.name) }}) as rows_built
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
