{#- Whether a row of hubspot_raw.associations is the primary one. By id: HubSpot renames
    labels, and says not to rely on them. -#}
{% macro is_primary_association() -%}
    category = 'HUBSPOT_DEFINED' and type_id in (1, 2, 5, 6, 25, 26, 509)
{%- endmacro %}
