{#- First line of every app model: it is built after every test on the layers before. -#}
{% macro publish_gate() -%}
    -- depends_on: {{ ref('publish_gate') }}
{%- endmacro %}
