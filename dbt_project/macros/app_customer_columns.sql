{#- The columns of app.customers that come from HubSpot, for comparing old with new. -#}
{% macro app_customer_columns() -%}
    {{- return([
        'customer_id', 'name', 'domain', 'phone', 'address', 'city', 'state', 'zip',
        'country', 'lifecycle_stage', 'owner_name', 'owner_email', 'parent_customer_id',
        'record_state', 'hubspot_url', 'hubspot_created_at', 'hubspot_updated_at',
    ]) -}}
{%- endmacro %}
