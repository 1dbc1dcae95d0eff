{#-
    The schema `hubspot`: one view per object type over all its live properties, typed,
    with HubSpot's labels and descriptions as comments. For analysts; nothing of the
    project reads them. Run after everything else:
        dbt run-operation create_hubspot_views
    A view is made anew only when its definition differs, which its comment remembers:
    on PostgreSQL dropping a view waits for everyone who reads it.
-#}
{% macro create_hubspot_views() -%}
    {%- for raw in raw_object_tables() -%}
        {%- set properties = run_query(hubspot_view_properties(raw.identifier)).rows -%}
        {%- set view = api.Relation.create(
            database=raw.database, schema='hubspot', identifier=raw.identifier) -%}
        {%- set definition = hubspot_view_definition(raw, view, properties) -%}
        {%- set fingerprint = local_md5(definition) -%}
        {%- if fingerprint not in (view_comment(view) or '') -%}
            {%- do run_query(
                'begin;\n' ~ definition ~ "\ncomment on view " ~ view ~ " is "
                ~ "'Every property of " ~ raw.identifier ~ ", typed (" ~ fingerprint
                ~ ")';\ncommit;"
            ) -%}
            {%- do log('hubspot.' ~ raw.identifier ~ ': ' ~ properties | length
                ~ ' properties', info=true) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- Live properties that have a place in raw, and what their values are. Identifiers
    are text whatever HubSpot declares: as numbers they would lose digits. -#}
{% macro hubspot_view_properties(object_type) %}
    select
        properties.name,
        case when present.column_name is not null then properties.column_name end
            as column_name,
        case
            when properties.type = 'number' and not (
                properties.name = 'hs_object_id'
                or properties.name like '%\_id' escape '\'
                or properties.name like '%companyid'
            ) then 'number'
            when properties.type = 'bool' then 'boolean'
            when properties.type = 'date' then 'date'
            when properties.type = 'datetime' then 'timestamp'
            else 'text'
        end as kind,
        properties.label,
        properties.description
    from {{ source('hubspot_raw', 'properties') }} as properties
    left join (
        select distinct column_name
        from information_schema.columns
        where
            table_schema = '{{ source("hubspot_raw", "properties").schema }}'
            and table_name = '{{ object_type }}'
    ) as present
        on properties.column_name = present.column_name
    where
        properties.object_type = '{{ object_type }}'
        and properties._state = 'live'
        and lower(properties.name) not in (
            'id', 'record_state', 'created_at', 'updated_at', 'archived_at'
        )
        and (properties.column_name is null or present.column_name is not null)
    order by properties.name
{% endmacro %}

{% macro hubspot_view_definition(raw, view, properties) -%}
    create schema if not exists hubspot;
    drop view if exists {{ view }};
    create view {{ view }} as
    select
        id,
        _state as record_state,
        {%- for property in properties %}
        {%- set name = property['column_name'] or property['name'] %}
        {%- set value = adapter.quote(property['column_name']) if property['column_name']
            else "(cast(_overflow as json) ->> '"
                ~ (property['name'] | replace("'", "''")) ~ "')" %}
        {% if property['kind'] == 'number' -%}
            {{ as_number(value, 'numeric(38, 9)', 28) }}
        {%- elif property['kind'] == 'boolean' -%}
            {{ as_boolean(value) }}
        {%- elif property['kind'] == 'date' -%}
            {{ as_date(value) }}
        {%- elif property['kind'] == 'timestamp' -%}
            {{ as_timestamp(value) }}
        {%- else -%}
            {{ value }}
        {%- endif %} as {{ adapter.quote(name) }},
        {%- endfor %}
        _created_at as created_at,
        _updated_at as updated_at,
        _archived_at as archived_at
    from {{ raw }};
    {%- for property in properties %}
    {%- set name = property['column_name'] or property['name'] %}
    {%- set label = property['label'] or property['name'] %}
    {%- set comment = label ~ ((': ' ~ property['description'])
        if property['description'] else '') %}
    comment on column {{ view }}.{{ adapter.quote(name) }}
        is '{{ comment | replace("'", "''") }}';
    {%- endfor %}
{%- endmacro %}
