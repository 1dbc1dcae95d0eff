{#-
    HubSpot properties as SQL text, whatever the portal has made of them: an own column,
    a key in `_overflow` (a property without a column, or a row too wide for its page),
    or null where the portal lacks the property. Resolved when the model is built, in one
    query for all that it names, since portals differ and change; nothing is asked of a
    database when dbt only parses or sqlfluff lints.
-#}
{% macro hubspot_properties(object_type, aliases) -%}
    {%- set named = [] -%}
    {%- for property in aliases -%}{%- do named.append((object_type, property)) -%}{%- endfor -%}
    {%- set expressions = hubspot_expressions(named) -%}
    {%- for property, alias in aliases.items() -%}
        {{ expressions[(object_type, property)] }} as {{ alias }}
        {{- ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The SQL of each (object type, property) pair. -#}
{% macro hubspot_expressions(named) -%}
    {%- set expressions = {} -%}
    {%- for pair in named -%}
        {%- do expressions.update({pair: 'cast(null as text)'}) -%}
    {%- endfor -%}
    {%- if execute and named -%}
        {%- for row in run_query(hubspot_property_lookup(named)).rows -%}
            {%- set key = overflow_value(row['property']) -%}
            {%- set pair = (row['object_type'], row['property']) -%}
            {%- if row['column_name'] and row['has_overflow'] -%}
                {%- do expressions.update({pair: 'coalesce('
                    ~ adapter.quote(row['column_name']) ~ ', ' ~ key ~ ')'}) -%}
            {%- elif row['column_name'] -%}
                {%- do expressions.update({pair: adapter.quote(row['column_name'])}) -%}
            {%- elif row['in_overflow'] -%}
                {%- do expressions.update({pair: key}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(expressions) -}}
{%- endmacro %}

{#- A row per pair: its raw column, or whether `_overflow` may hold it. -#}
{% macro hubspot_property_lookup(named) -%}
    {%- set raw = source('hubspot_raw', 'properties') %}
    with named as (
        {%- for object_type, property in named | unique %}
        select
            '{{ object_type }}' as object_type,
            '{{ property | replace("'", "''") }}' as property
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),
    present as (
        select table_name, column_name
        from information_schema.columns
        where
            table_schema = '{{ raw.schema }}'
            {%- if target.type == 'duckdb' %}
            and table_catalog = current_database()
            {%- endif %}
            and table_name in (
                {%- for object_type in named | map('first') | unique -%}
                '{{ object_type }}'{{ ', ' if not loop.last }}
                {%- endfor -%}
            )
    ),
    wide as (
        select table_name from present where column_name = '_overflow'
    )
    select
        named.object_type,
        named.property,
        min(present.column_name) as column_name,
        max(case when wide.table_name is not null then 1 else 0 end) = 1
            as has_overflow,
        max(case
            when
                wide.table_name is not null
                and mapped.name is not null
                and mapped.column_name is null
                then 1
            else 0
        end) = 1 as in_overflow
    from named
    left join {{ raw }} as mapped
        on named.object_type = mapped.object_type and named.property = mapped.name
    left join present
        on
            named.object_type = present.table_name
            and present.column_name = coalesce(mapped.column_name, lower(named.property))
    left join wide on named.object_type = wide.table_name
    group by named.object_type, named.property
{%- endmacro %}

{#- The raw table of an object type, or an empty one where it is not loaded. -#}
{% macro raw_table(relation) -%}
    {%- if by_rows() and raw_table_exists(relation) -%}
        (
            select * from {{ relation }}
            where id in ({{ rows_to_build(relation.identifier) }})
        ) as {{ relation.identifier }}
    {%- elif not execute or raw_table_exists(relation) -%}
        {{ relation }}
    {%- else -%}
        (
            select
                cast(null as text) as id,
                cast(null as text) as _state,
                cast(null as text) as _merged_into,
                cast(null as text) as _overflow,
                cast(null as timestamptz) as _created_at,
                cast(null as timestamptz) as _updated_at,
                cast(null as timestamptz) as _archived_at
            where false
        ) as {{ relation.identifier }}
    {%- endif -%}
{%- endmacro %}

{% macro raw_table_exists(relation) -%}
    {%- set found = run_query(
        "select 1 from information_schema.tables where table_schema = '"
        ~ relation.schema ~ "' and table_name = '" ~ relation.identifier ~ "'"
    ) -%}
    {{- return(found.rows | length > 0) -}}
{%- endmacro %}
