{#-
    The schema `hubspot`, for analysts; nothing of the project reads it. One view per
    object type over all its live properties, typed, with HubSpot's labels and
    descriptions as comments; and beside them the associations, owners and stages that
    one joins. Run after everything else:
        dbt run-operation create_hubspot_views
    A view is made anew only when its definition differs, which its comment remembers:
    on PostgreSQL dropping a view waits for everyone who reads it.
-#}
{% macro create_hubspot_views() -%}
    {%- do run_query('create schema if not exists hubspot') -%}
    {%- for raw in raw_object_tables() -%}
        {%- set rows = run_query(hubspot_view_properties(raw.identifier)).rows -%}
        {%- do create_hubspot_view(
            raw.identifier, 'Every property of ' ~ raw.identifier ~ ', typed',
            hubspot_view_columns(rows), raw) -%}
    {%- endfor -%}
    {%- for name, view in hubspot_views_to_join().items() -%}
        {%- do create_hubspot_view(name, view.comment, view.columns, view.source) -%}
    {%- endfor -%}
{%- endmacro %}

{#- Columns are (name, type, expression, comment, text): `text` is a property's value
    before it is typed, null of other columns. `source` is what follows `from`. -#}
{% macro create_hubspot_view(name, comment, columns, source) -%}
    {%- set view = api.Relation.create(
        database=target.database, schema='hubspot', identifier=name) -%}
    {%- set used = columns_in_use(view) -%}
    {%- set columns = hubspot_columns_kept(columns, used) if used else columns -%}
    {%- set definition = hubspot_view_definition(view, columns, source) -%}
    {%- set fingerprint = local_md5(definition) -%}
    {%- if fingerprint not in (view_comment(view) or '') -%}
        {%- do run_query(
            'begin;\n' ~ ('' if used else 'drop view if exists ' ~ view ~ ';\n')
            ~ definition ~ '\ncomment on view ' ~ view ~ " is '"
            ~ (comment | replace("'", "''")) ~ ' (' ~ fingerprint ~ ")';\ncommit;"
        ) -%}
        {%- do log('hubspot.' ~ name ~ ': ' ~ columns | length ~ ' columns', info=true) -%}
    {%- endif -%}
{%- endmacro %}

{% macro hubspot_view_definition(view, columns, source) -%}
    create or replace view {{ view }} as
    select
        {%- for name, type, expression, comment, text in columns %}
        {{ expression }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source }};
    {%- for name, type, expression, comment, text in columns %}
    comment on column {{ view }}.{{ adapter.quote(name) }}
        is '{{ comment | replace("'", "''") }}';
    {%- endfor %}
{%- endmacro %}

{#- The columns of a view that somebody's own view reads: those it has, in their order,
    each with its type, then the new ones. A property that is gone is null and one that
    changed its type keeps the old one, for as long as that other view is there. -#}
{% macro hubspot_columns_kept(columns, used) -%}
    {%- set wanted = {} -%}
    {%- for column in columns -%}
        {%- do wanted.update({column[0]: column}) -%}
    {%- endfor -%}
    {%- set kept = [] -%}
    {%- for row in used -%}
        {%- set column = wanted.pop(row['name'], none) -%}
        {%- if column is none -%}
            {%- do kept.append((row['name'], row['type'],
                'cast(null as ' ~ row['type'] ~ ')', 'No longer in HubSpot', none)) -%}
        {%- elif column[1] == row['type'] -%}
            {%- do kept.append(column) -%}
        {%- else -%}
            {%- do kept.append((column[0], row['type'],
                hubspot_value(column[4] or column[2], row['type']), column[3],
                column[4])) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(kept + (wanted.values() | list)) -}}
{%- endmacro %}

{#- Text as a type: the value, or null where it says something else. -#}
{% macro hubspot_value(text, type) -%}
    {%- if type == 'numeric(38,9)' -%}
        {{- return(as_number(text, type, 28)) -}}
    {%- elif type == 'boolean' -%}
        {{- return(as_boolean(text)) -}}
    {%- elif type == 'date' -%}
        {{- return(as_date(text)) -}}
    {%- elif type == 'timestamp with time zone' -%}
        {{- return(as_timestamp(text)) -}}
    {%- elif type == 'text[]' -%}
        {{- return(as_list(text)) -}}
    {%- endif -%}
    {{- return(text) -}}
{%- endmacro %}

{#- Properties of a type with what their values are. Identifiers are text whatever
    HubSpot declares: they are joined with `id`, and as numbers would lose zeros. More
    than a view can have columns (1,664 on PostgreSQL) are only in `_overflow`. -#}
{% macro hubspot_view_properties(object_type) %}
    with present as (
        select distinct column_name
        from information_schema.columns
        where
            table_schema = '{{ source("hubspot_raw", "properties").schema }}'
            and table_name = '{{ object_type }}'
            {%- if target.type == 'duckdb' %}
            and table_catalog = current_database()
            {%- endif %}
    ),
    widest as (
        select
            properties.name,
            present.column_name,
            exists (select 1 from present where column_name = '_overflow')
                as has_overflow,
            case
                when properties.type = 'number' and not (
                    properties.name = 'hs_object_id'
                    or properties.name like '%\_id' escape '\'
                    or properties.name like '%companyid'
                ) then 'numeric(38,9)'
                when properties.type = 'bool' then 'boolean'
                when properties.type = 'date' then 'date'
                when properties.type = 'datetime' then 'timestamp with time zone'
                when
                    properties.type = 'enumeration'
                    and properties.field_type = 'booleancheckbox'
                    then 'boolean'
                when
                    properties.type = 'enumeration'
                    and properties.field_type = 'checkbox'
                    then 'text[]'
                else 'text'
            end as type,
            properties.label,
            properties.description
        from {{ source('hubspot_raw', 'properties') }} as properties
        left join present on properties.column_name = present.column_name
        where properties.object_type = '{{ object_type }}' and properties._state = 'live'
        order by present.column_name is null, properties.name
        limit 1600
    )
    select * from widest
    where column_name is not null or has_overflow
    order by name
{% endmacro %}

{#- The columns of an object type's view: what the loader knows of a record, and each
    property under the name that its raw column has. One without a column gets a name
    that fits: names of HubSpot can be longer, look alike, or be one of ours. -#}
{% macro hubspot_view_columns(properties) -%}
    {%- set instant = 'timestamp with time zone' -%}
    {%- set first = [
        ('id', 'text', 'id', 'HubSpot\'s id of the record', none),
        ('record_state', 'text', '_state',
            'live, archived, merged, erased (privacy deletion) or missing', none),
    ] -%}
    {%- set last = [
        ('created_at', instant, '_created_at', 'When HubSpot made the record', none),
        ('updated_at', instant, '_updated_at', 'When HubSpot last changed the record',
            none),
        ('archived_at', instant, '_archived_at', 'When the record was deleted', none),
        ('merged_into_id', 'text', '_merged_into', 'The record that carries this one on',
            none),
    ] -%}
    {%- set taken = (first + last) | map(attribute=0) | list -%}
    {%- set columns = [] -%}
    {%- for property in properties -%}
        {%- set name = property['column_name'] or property['name'] -%}
        {%- if not modules.re.fullmatch('[a-z][a-z0-9_]{0,62}', name) or name in taken -%}
            {%- set stem = modules.re.sub('[^a-z0-9]+', '_', property['name'] | lower) -%}
            {%- set name = 'p_' ~ stem[:50].strip('_') ~ '_'
                ~ local_md5(property['name'])[:8] -%}
        {%- endif -%}
        {%- do taken.append(name) -%}
        {%- set spilled = overflow_value(property['name']) -%}
        {%- if not property['column_name'] -%}
            {%- set text = spilled -%}
        {%- elif property['has_overflow'] -%}
            {%- set text = 'coalesce(' ~ adapter.quote(property['column_name']) ~ ', '
                ~ spilled ~ ')' -%}
        {%- else -%}
            {%- set text = adapter.quote(property['column_name']) -%}
        {%- endif -%}
        {%- set comment = (property['label'] or property['name'])
            ~ (' [' ~ property['name'] ~ ']' if name != property['name'] else '')
            ~ (': ' ~ property['description'] if property['description'] else '') -%}
        {%- do columns.append((name, property['type'],
            hubspot_value(text, property['type']), comment, text)) -%}
    {%- endfor -%}
    {{- return(first + columns + last) -}}
{%- endmacro %}

{#- What one joins the object types with, as the rows an analyst expects. -#}
{% macro hubspot_views_to_join() -%}
    {{- return({
        'associations': {
            'comment': 'One row per pair of records that HubSpot links, in both directions',
            'columns': [
                ('from_type', 'text', 'from_type', 'Object type, as its view', none),
                ('from_id', 'text', 'from_id', 'Its id', none),
                ('to_type', 'text', 'to_type', 'Object type, as its view', none),
                ('to_id', 'text', 'to_id', 'Its id', none),
                ('is_primary', 'boolean',
                    'coalesce(bool_or(' ~ is_primary_association() ~ '), false)',
                    'Whether it is the primary one of from_id', none),
                ('labels', 'text[]', list_of_labels(), 'Labels people gave the link', none),
            ],
            'source': source('hubspot_raw', 'associations')
                ~ ' group by from_type, from_id, to_type, to_id',
        },
        'owners': {
            'comment': 'Users of HubSpot who own records, past ones included',
            'columns': [
                ('id', 'text', 'id', 'What hubspot_owner_id holds', none),
                ('name', 'text', "nullif(trim(concat(first_name, ' ', last_name)), '')",
                    'First and last name', none),
                ('email', 'text', "nullif(email, '')", 'E-mail address', none),
                ('is_archived', 'boolean', 'archived', 'Whether the user has left', none),
            ],
            'source': source('hubspot_raw', 'owners'),
        },
        'pipeline_stages': {
            'comment': 'One row per stage of a pipeline, in the order HubSpot shows them',
            'columns': [
                ('object_type', 'text', 'object_type', 'deals, tickets, …', none),
                ('pipeline_id', 'text', 'pipeline_id', 'What the property holds', none),
                ('pipeline_label', 'text', 'pipeline_label', 'Its name', none),
                ('stage_id', 'text', 'stage_id', 'What the property holds', none),
                ('stage_label', 'text', 'stage_label', 'Its name', none),
                ('is_closed', 'boolean', as_boolean('is_closed'), 'Won or lost', none),
                ('probability', 'numeric(38,9)',
                    as_number('probability', 'numeric(38,9)', 28), '1 is won, 0 is lost',
                    none),
                ('record_state', 'text', '_state', 'live, or archived when removed', none),
            ],
            'source': source('hubspot_raw', 'pipelines'),
        },
    }) -}}
{%- endmacro %}

{% macro list_of_labels() -%}
    {{- return(as_list("string_agg(distinct case when category <> 'HUBSPOT_DEFINED'"
        ~ " then replace(label, ';', ',') end, ';')")) -}}
{%- endmacro %}
