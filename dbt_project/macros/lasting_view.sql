{#- A view that the app reads: replaced in place and only when its definition differs,
    which its comment remembers. Dropping it would lose the grants on it, and replacing
    it at every run would wait for everyone who reads it. Its columns can therefore only
    become more. -#}
{% materialization lasting_view, default %}
    {%- set view = this.incorporate(type='view') -%}
    {%- set fingerprint = local_md5(model.raw_code ~ model.description) -%}
    {% if fingerprint in (view_comment(view) or '') -%}
        {% call statement('main') %} select 1 {% endcall %}
    {%- else -%}
        {% call statement('main') -%}
            create or replace view {{ view }} as
            {{ sql }}
        {%- endcall %}
        {%- do persist_docs(view, model, for_relation=false) -%}
        {%- set comment = model.description | trim | replace("'", "''") -%}
        {%- do run_query("comment on view " ~ view ~ " is '" ~ comment
            ~ " (" ~ fingerprint ~ ")'") -%}
    {%- endif -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [view]}) }}
{% endmaterialization %}
