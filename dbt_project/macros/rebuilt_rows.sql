{#- A table that is built whole, or by rows where that says the same (by_rows.sql). With
    an index on its key, and on `meta.looked_up_by`, by which others find a few rows. -#}
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
    {%- set indexes = [merge_key_index(relation, key)] -%}
    {%- if config.get('meta').looked_up_by -%}
        {%- do indexes.append(
            merge_key_index(relation, config.get('meta').looked_up_by, 'lookup')) -%}
    {%- endif -%}
    {{ return(rebuilt('table', indexes | map('trim') | select | join('; '))) }}
{% endmaterialization %}
