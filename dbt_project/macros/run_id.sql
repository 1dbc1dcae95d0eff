{#- Which run wrote this: hubsync's own id where it gives one, from the environment,
    because a var that differs each time makes dbt parse the whole project again. -#}
{% macro run_id() -%}
    {%- if execute -%}
        '{{ var("run_id", none) or env_var("HUBSYNC_RUN_ID", "") or invocation_id }}'
    {%- else -%}
        cast(null as text)
    {%- endif -%}
{%- endmacro %}
