{#-
    A HubSpot property as SQL text, whatever the portal has made of it: its own column,
    a key in `_overflow` (a property without a column, or a row too wide for its page),
    or null where the portal lacks the property. Resolved when the model is built,
    since portals differ and change; nothing is asked of a database when dbt only
    parses or sqlfluff lints.
-#}
{% macro hubspot_property(object_type, property, alias=none) -%}
    {%- set expression = 'cast(null as text)' -%}
    {%- if execute -%}
        {%- set found = run_query(hubspot_property_lookup(object_type, property)) -%}
        {%- for row in found.rows -%}
            {%- set key = overflow_value(property) -%}
            {%- if row['column_name'] and row['has_overflow'] -%}
                {%- set expression = 'coalesce(' ~ adapter.quote(row['column_name'])
                    ~ ', ' ~ key ~ ')' -%}
            {%- elif row['column_name'] -%}
                {%- set expression = adapter.quote(row['column_name']) -%}
            {%- elif row['in_overflow'] -%}
                {%- set expression = key -%}
            {%- endif -%}
            {{- expression ~ (' as ' ~ alias if alias else '') -}}
        {%- endfor -%}
    {%- else -%}
        {{- expression ~ (' as ' ~ alias if alias else '') -}}
    {%- endif -%}
{%- endmacro %}

{#- One row: the raw column of a property, or whether `_overflow` may hold it. -#}
{% macro hubspot_property_lookup(object_type, property) -%}
    {%- set raw = source('hubspot_raw', 'properties') %}
    with mapped as (
        select column_name
        from {{ raw }}
        where object_type = '{{ object_type }}' and name = '{{ property | replace("'", "''") }}'
    ),
    present as (
        select column_name
        from information_schema.columns
        where
            table_schema = '{{ raw.schema }}' and table_name = '{{ object_type }}'
            {%- if target.type == 'duckdb' %}
            and table_catalog = current_database()
            {%- endif %}
    )
    select
        (
            select min(present.column_name)
            from present
            where present.column_name = coalesce(
                (select min(mapped.column_name) from mapped), '{{ property | lower | replace("'", "''") }}'
            )
        ) as column_name,
        (
            exists (select 1 from mapped where column_name is null)
            and exists (select 1 from present where column_name = '_overflow')
        ) as in_overflow,
        exists (select 1 from present where column_name = '_overflow') as has_overflow
{%- endmacro %}

{#- The raw table of an object type, or an empty one where it is not loaded. -#}
{% macro raw_table(relation) -%}
    {%- if not execute or raw_table_exists(relation) -%}
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
