{#- The raw tables of all loaded object types, custom objects included. -#}
{% macro raw_object_tables() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- set types = source('hubspot_raw', 'object_types') -%}
        {%- set rows = run_query(
            'select distinct object_type from ' ~ types ~ ' order by 1').rows -%}
        {%- for row in rows -%}
            {%- set relation = types.incorporate(path={'identifier': row[0]}) -%}
            {%- if raw_table_exists(relation) -%}
                {%- do found.append(relation) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found) -}}
{%- endmacro %}
