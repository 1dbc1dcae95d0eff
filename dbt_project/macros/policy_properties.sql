{#- Every property that a seed names, as rows (object_type, property, kind), kind
    `text` or `date`. Read when the model is built: a new row in a seed needs no SQL. -#}
{% macro policy_properties() -%}
    {%- set named = [
        ('churn_signals', 'property', 'text'),
        ('churn_signals', 'date_property', 'date'),
        ('subscription_statuses', 'property', 'text'),
        ('plans', 'property', 'text'),
        ('customer_lifecycle_stages', 'property', 'text'),
        ('policy_dates', 'property', 'date'),
        ('access_overrides', 'property', 'text'),
        ('access_overrides', 'date_property', 'date'),
        ('protected_customers', 'property', 'text'),
        ('parent_access', 'property', 'text'),
    ] -%}
    {%- set queries = [] -%}
    {%- for seed, column, kind in named -%}
        {%- set relation = ref(seed) -%}
        {%- if execute and load_relation(relation) is not none -%}
            {%- do queries.append(
                "select object_type, " ~ column ~ " as property, '" ~ kind ~ "' as kind"
                ~ " from " ~ relation ~ " where " ~ column ~ " <> ''"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if queries -%}
        {{- return(run_query(queries | join(' union ') ~ ' order by 1, 2, 3').rows) -}}
    {%- endif -%}
    {{- return([]) -}}
{%- endmacro %}
