{#-
    Post-hooks of app.access: what people decided is spent in the transaction that
    obeys it. An approval that released something works once. A refusal ends when the
    customer's verdict rests on something else that HubSpot says; should the refused
    evidence come back after that, it is new. Absence ends no refusal.
-#}
{% macro use_approvals() -%}
    {%- set approvals = adapter.get_relation(target.database, 'ops', 'approvals')
        if execute else none -%}
    {%- if approvals %}
    update {{ approvals }}
    set used_at = {{ now() }}
    where
        decision = 'approved'
        and used_at is null
        and {{ now() }} < expires_at
        and plan_id in (
            select plan.approval_id from {{ ref('access_plan') }} as plan
            where plan.approval_id is not null
            union
            select guard.approval_id from {{ ref('extract_guard') }} as guard
            where guard.approval_id is not null
        )
    {%- endif %}
{%- endmacro %}

{% macro end_refusals() -%}
    {%- set changes = adapter.get_relation(target.database, 'ops', 'approval_changes')
        if execute else none -%}
    {%- set columns = adapter.get_columns_in_relation(changes)
        | map(attribute='name') | list if changes else [] -%}
    {%- if 'lapsed_at' in columns %}
    update {{ changes }} as refused
    set lapsed_at = {{ now() }}
    from {{ ref('int_access_verdicts') }} as verdicts
    where
        refused.lapsed_at is null
        and verdicts.customer_id = refused.customer_id
        and verdicts.reason_code <> 'UNKNOWN_HELD'
        and not exists (
            select 1 from {{ ref('extract_guard') }} as guard where guard.is_held
        )
        and not exists (
            select 1
            from {{ ref('access_plan') }} as plan
            where plan.change_id = refused.change_id
        )
    {%- endif %}
{%- endmacro %}
