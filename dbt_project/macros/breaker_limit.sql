{#- The larger of a number and a share of the customers with access; whole customers,
    so a share of 2 % of 60 is 1. -#}
{% macro breaker_limit(name, customers) -%}
    greatest(
        {{ var(name) }},
        cast(floor({{ customers }} * {{ var(name ~ '_share') }}) as bigint)
    )
{%- endmacro %}

{#- The same for people, as SQL text. -#}
{% macro breaker_limit_in_words(name, limit, customers) -%}
    'the limit is ' || {{ limit }}
    || ', the larger of {{ var(name) }} and {{ "%g" | format(var(name ~ "_share") | float * 100) }} % of '
    || {{ customers }} || ' customers with access'
{%- endmacro %}
