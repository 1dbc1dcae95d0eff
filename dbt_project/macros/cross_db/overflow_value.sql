{#- What `_overflow` holds of a property, as text. DuckDB reads a name that begins with
    `$`, or is `*`, as a path; a JSON pointer is a name whatever it holds. -#}
{% macro overflow_value(property) -%}
    {{ return(adapter.dispatch('overflow_value', 'hubsync')(property)) }}
{%- endmacro %}

{% macro default__overflow_value(property) -%}
    {%- set pointer = '/' ~ (property | replace('~', '~0') | replace('/', '~1')) -%}
    {{- return("(cast(_overflow as json) ->> '" ~ (pointer | replace("'", "''")) ~ "')") -}}
{%- endmacro %}

{% macro postgres__overflow_value(property) -%}
    {{- return("(cast(_overflow as json) ->> '" ~ (property | replace("'", "''")) ~ "')") -}}
{%- endmacro %}
