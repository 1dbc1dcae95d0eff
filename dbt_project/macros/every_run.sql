{#- Called by macros that read what changes without raw or policy changing: the clock,
    app, what people decided. The model is then built in every run of hubsync, which
    else builds only what can have changed (pipelines/models.py). -#}
{% macro every_run() -%}
    {%- if not execute and model is defined and model.resource_type == 'model' -%}
        {%- do config(tags=['every_run']) -%}
    {%- endif -%}
{%- endmacro %}

{#- On-run-start hook: dbt by hand may build other code, or a part, so after it hubsync
    takes nothing for built. hubsync itself gives its run's id. -#}
{% macro forget_models_built() -%}
    {%- if execute and var('run_id', none) is none and load_relation(api.Relation.create(
        database=target.database, schema='ops', identifier='models_built'
    )) is not none -%}
        delete from ops.models_built
    {%- endif -%}
{%- endmacro %}
