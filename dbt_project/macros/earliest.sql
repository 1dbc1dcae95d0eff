{#- The earlier of two instants, of which either may be null for never. -#}
{% macro earliest(one, other) -%}
    case when {{ one }} <= {{ other }} then {{ one }} else coalesce({{ other }}, {{ one }}) end
{%- endmacro %}
