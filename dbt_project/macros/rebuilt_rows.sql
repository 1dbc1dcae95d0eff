{#- A table that is built whole, or by rows where that says the same (by_rows.sql). -#}
{% materialization rebuilt_rows, default %}
    {%- set key = config.get('unique_key') -%}
    {%- set relation = this.incorporate(type='table') -%}
    {%- if by_rows() -%}
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {% call statement('main') -%}
            delete from {{ relation }}
            where ({{ row_columns(model) }}) in (
                {{ rows_to_build(config.get('meta').rows) }}
            );
            insert into {{ relation }}
            {{ sql }}
        {%- endcall %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {%- do adapter.commit() -%}
        {{ return({'relations': [relation]}) }}
    {%- endif -%}
    {{ return(rebuilt('table', merge_key_index(relation, key))) }}
{% endmaterialization %}
