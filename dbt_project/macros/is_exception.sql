{#- Whether what a row lacks is an oversight: it does, and at most one in five of its
    kind does. A portal that never fills something in has not forgotten it, and a
    finding per record would bury the others. A window function: for select lists. -#}
{% macro is_exception(lacks, among=none) -%}
    {{ lacks }}
    and 5 * sum(case when {{ lacks }} then 1 else 0 end) over (
        {{- 'partition by ' ~ among if among }})
    <= count(*) over ({{ 'partition by ' ~ among if among }})
{%- endmacro %}
