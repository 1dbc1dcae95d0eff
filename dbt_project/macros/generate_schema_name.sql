{#- Schemas are called what dbt_project.yml calls them, without a target's prefix:
    the app and the people who query it know one name. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
