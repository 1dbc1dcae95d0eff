{#-
    The post-hooks of app.access: first the events, then the flags, both in the
    transaction of the merge before them. They judge nothing, they copy: all judgement
    is in int_access_verdicts. What differs decides, so a second run finds nothing.
    Customers whose change is held in ops.access_plan keep their flags.
-#}
{% macro verdicts_to_apply() -%}
    select verdicts.*
    from {{ ref('int_access_verdicts') }} as verdicts
    left join {{ ref('access_plan') }} as plan
        on verdicts.customer_id = plan.customer_id and plan.held
    where plan.customer_id is null
{%- endmacro %}

{% macro record_access_events() -%}
    insert into {{ ref('access_events') }} (
        event_id, customer_id, run_id, occurred_at, from_level, to_level,
        from_enabled, to_enabled, reason_code, evidence, approved_by
    )
    select
        (select coalesce(max(event_id), 0) from {{ ref('access_events') }})
        + row_number() over (order by access.customer_id),
        access.customer_id,
        {{ run_id() }},
        {{ now() }},
        case when access.version > 0 then access.access_level end,
        verdicts.access_level,
        case when access.version > 0 then access.is_enabled end,
        verdicts.is_enabled,
        verdicts.reason_code,
        cast(verdicts.evidence as {{ json_type() }}),
        cast(null as text)
    from {{ this }} as access
    inner join ({{ verdicts_to_apply() }}) as verdicts
        on access.customer_id = verdicts.customer_id
    where
        access.version = 0
        or access.access_level is distinct from verdicts.access_level
        or access.is_enabled is distinct from verdicts.is_enabled
{%- endmacro %}

{#- `version` counts the events of a customer: the app may keep it in a session and
    refuse one that is behind. A verdict that only has another reason, date or
    evidence rewrites the row and leaves the version. -#}
{% macro copy_access_verdicts() -%}
    update {{ this }} as access
    set
        access_level = verdicts.access_level,
        is_enabled = verdicts.is_enabled,
        is_churned = verdicts.is_churned,
        reason_code = verdicts.reason_code,
        evidence = cast(verdicts.evidence as {{ json_type() }}),
        effective_at = verdicts.effective_at,
        access_until = verdicts.access_until,
        version = access.version + case
            when
                access.version = 0
                or access.access_level is distinct from verdicts.access_level
                or access.is_enabled is distinct from verdicts.is_enabled
                then 1
            else 0
        end,
        decided_at = {{ now() }},
        run_id = {{ run_id() }}
    from ({{ verdicts_to_apply() }}) as verdicts
    where
        access.customer_id = verdicts.customer_id
        and (
            access.version = 0
            or access.access_level is distinct from verdicts.access_level
            or access.is_enabled is distinct from verdicts.is_enabled
            or access.is_churned is distinct from verdicts.is_churned
            or access.reason_code is distinct from verdicts.reason_code
            or access.evidence
            is distinct from cast(verdicts.evidence as {{ json_type() }})
            or access.effective_at is distinct from verdicts.effective_at
            or access.access_until is distinct from verdicts.access_until
        )
{%- endmacro %}
