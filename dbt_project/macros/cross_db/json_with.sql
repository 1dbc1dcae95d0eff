{#- A JSON object as text with further keys, which win over its own. -#}
{% macro json_with(object, pairs) -%}
    {{ return(adapter.dispatch('json_with', 'hubsync')(object, pairs)) }}
{%- endmacro %}

{% macro default__json_with(object, pairs) -%}
    cast(json_merge_patch(
        cast({{ object }} as json), cast({{ json_object(pairs) }} as json)
    ) as text)
{%- endmacro %}

{% macro postgres__json_with(object, pairs) -%}
    cast(
        cast({{ object }} as jsonb) || cast({{ json_object(pairs) }} as jsonb) as text
    )
{%- endmacro %}
