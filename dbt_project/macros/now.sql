{#- The instant at which a run decides. Only int_clock and the columns that say when
    something was written may use it; evidence never does, or time alone would
    change it. -#}
{% macro now() -%}
    {{- every_run() -}}
    {%- if var('now', none) -%}
        cast('{{ var("now") }}' as timestamptz)
    {%- else -%}
        current_timestamp
    {%- endif -%}
{%- endmacro %}
