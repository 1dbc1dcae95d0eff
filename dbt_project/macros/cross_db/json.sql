{#- The JSON type that can be compared: PostgreSQL's `json` has no equality. -#}
{% macro json_type() -%}
    {{ return(adapter.dispatch('json_type', 'hubsync')()) }}
{%- endmacro %}

{% macro default__json_type() -%} json {%- endmacro %}

{% macro postgres__json_type() -%} jsonb {%- endmacro %}

{#- Whether two texts are other JSON. As texts first, which mostly are the same: to read
    a hundred thousand objects takes as long as all else about them. -#}
{% macro json_differs(one, other) -%}
    case
        when {{ one }} = {{ other }} then false
        else
            cast({{ one }} as {{ json_type() }})
            is distinct from cast({{ other }} as {{ json_type() }})
    end
{%- endmacro %}

{#- A JSON object as text, from keys and SQL expressions. -#}
{% macro json_object(pairs) -%}
    {{ return(adapter.dispatch('json_object', 'hubsync')(pairs)) }}
{%- endmacro %}

{% macro default__json_object(pairs) -%}
    cast(json_object(
        {%- for key, value in pairs.items() %}
        '{{ key }}', {{ value }}{{ ',' if not loop.last }}
        {%- endfor %}
    ) as text)
{%- endmacro %}

{% macro postgres__json_object(pairs) -%}
    cast(jsonb_build_object(
        {%- for key, value in pairs.items() %}
        '{{ key }}', {{ value }}{{ ',' if not loop.last }}
        {%- endfor %}
    ) as text)
{%- endmacro %}

{#- An instant as ISO 8601 text in UTC, to the second. -#}
{% macro iso_instant(instant) -%}
    {{ return(adapter.dispatch('iso_instant', 'hubsync')(instant)) }}
{%- endmacro %}

{% macro default__iso_instant(instant) -%}
    strftime({{ instant }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%SZ')
{%- endmacro %}

{% macro postgres__iso_instant(instant) -%}
    to_char({{ instant }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
{%- endmacro %}
