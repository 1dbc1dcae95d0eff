{#-
    The post-hooks of app.access: what is to be said, then the events, then the flags, all
    in the transaction of the merge before them. They judge nothing, they copy: all judgement
    is in int_access_verdicts, and whether it may be applied in ops.access_plan. What
    differs decides, so a second run finds nothing. Customers whose change is held keep
    their flags.
-#}
{% macro verdicts_to_apply() -%}
    select
        verdicts.customer_id,
        verdicts.access_level,
        verdicts.is_enabled,
        verdicts.is_churned,
        verdicts.reason_code,
        verdicts.effective_at,
        verdicts.access_until,
        -- HubSpot's own history of the property, where it was read.
        case
            when history.changed_at is null then verdicts.evidence
            else {{ json_with('verdicts.evidence', {
                'old_value': 'history.old_value',
                'changed_at': iso_instant('history.changed_at'),
                'source': 'history.source_type',
                'changed_by': 'history.changed_by',
            }) }}
        end as evidence,
        plan.lapsed_at,
        plan.approved_by,
        plan.change_id
    from {{ ref('int_access_verdicts') }} as verdicts
    left join {{ ref('access_plan') }} as plan
        on verdicts.customer_id = plan.customer_id
    left join {{ ref('int_access_before_run') }} as before
        on verdicts.customer_id = before.customer_id
    left join (
        {{ before_run('evidence_history', [
            ('object_id', 'text'), ('object_type', 'text'), ('property', 'text'),
            ('value', 'text'), ('old_value', 'text'), ('changed_at', 'timestamptz'),
            ('source_type', 'text'), ('changed_by', 'text'),
        ], schema='ops') }}
    ) as history
        on
            history.object_type = verdicts.evidence_object_type
            and history.object_id = verdicts.evidence_object_id
            and history.property = verdicts.evidence_property
            and history.value = verdicts.evidence_value
            -- Evidence that the app has already stays as it was written.
            and {{ json_differs('verdicts.evidence', 'before.evidence') }}
    where not coalesce(plan.held, false)
{%- endmacro %}

{#- The verdicts that app.access or its events do not say yet, found once for all that
    follows; with what the newest event says. int_access_changes knows what the app did
    not say before this run; where it has been edited since (`hubsync reconcile --repair`,
    pipelines/publication.py) every customer is asked. -#}
{% macro stage_verdicts() -%}
    {{ without_nested_loops() }}
    drop table if exists {{ touched('publish_unsaid') }};
    create table {{ touched('publish_unsaid') }} {{ without_autovacuum() }} as
    with newest as (
        {{ newest_events() }}
    )

    select
        access.customer_id,
        newest.customer_id is not null as has_events,
        newest.to_level as told_level,
        newest.to_enabled as told_enabled
    from {{ this }} as access
    left join newest on access.customer_id = newest.customer_id
    {%- if not var('app_was_edited') %}
    where
        {{ is_without_history('access') }}
        -- Also where somebody did by hand what the verdict says now.
        or newest.to_level is distinct from access.access_level
        or newest.to_enabled is distinct from access.is_enabled
        or access.customer_id in (
            select changes.customer_id
            from {{ ref('int_access_changes') }} as changes
            where changes.is_access_different
        )
    {%- endif %}
    -- How few they are, else all verdicts are joined to find them.
    {{ with_statistics(touched('publish_unsaid')) }};
    drop table if exists {{ touched('publish_verdicts') }};
    create table {{ touched('publish_verdicts') }} {{ without_autovacuum() }} as
    select
        verdicts.*,
        unsaid.has_events,
        unsaid.told_level,
        unsaid.told_enabled
    from ({{ verdicts_to_apply() }}) as verdicts
    inner join {{ touched('publish_unsaid') }} as unsaid
        on verdicts.customer_id = unsaid.customer_id
{%- endmacro %}

{#- Whether a row of access, of now or before this run, is not what its verdict says. -#}
{% macro says_something_else(access, verdicts) -%}
    {{ decides_something_else(access, verdicts) }}
    or {{ json_differs('cast(' ~ access ~ '.evidence as text)', verdicts ~ '.evidence') }}
{%- endmacro %}

{#- The same of what is decided, without the evidence. -#}
{% macro decides_something_else(access, verdicts) -%}
    {{ differs([
        'access_level', 'is_enabled', 'is_churned', 'reason_code', 'effective_at',
        'access_until',
    ], access, verdicts) }}
{%- endmacro %}

{#- A customer that the app had before us has no event yet: its first one says what it
    had, so that its events rebuild its access like everyone's. -#}
{% macro record_access_events() -%}
    insert into {{ ref('access_events') }} (
        event_id, customer_id, run_id, occurred_at, from_level, to_level,
        from_enabled, to_enabled, reason_code, evidence, approved_by,
        effective_at, change_id, from_verdict
    )
    select
        (select coalesce(max(event_id), 0) from {{ ref('access_events') }})
        + row_number() over (order by access.customer_id),
        access.customer_id,
        {{ run_id() }},
        {{ now() }},
        case when not {{ is_without_history('access') }} then access.access_level end,
        verdicts.access_level,
        case when not {{ is_without_history('access') }} then access.is_enabled end,
        verdicts.is_enabled,
        verdicts.reason_code,
        cast(
            case
                when verdicts.lapsed_at is null or verdicts.is_enabled
                    then verdicts.evidence
                else {{ json_with('verdicts.evidence', {
                    'access_ended_at': iso_instant('verdicts.lapsed_at'),
                }) }}
            end as {{ json_type() }}
        ),
        verdicts.approved_by,
        verdicts.effective_at,
        verdicts.change_id,
        -- What hubsync undo puts back.
        cast({{ json_object({
            'is_churned': 'access.is_churned',
            'reason_code': 'access.reason_code',
            'evidence': 'access.evidence',
            'effective_at': 'cast(access.effective_at as text)',
            'access_until': 'cast(access.access_until as text)',
        }) }} as {{ json_type() }})
    from {{ this }} as access
    inner join {{ touched('publish_verdicts') }} as verdicts
        on access.customer_id = verdicts.customer_id
    where
        {{ is_without_history('access') }}
        or access.access_level is distinct from verdicts.access_level
        or access.is_enabled is distinct from verdicts.is_enabled
        or verdicts.told_level is distinct from verdicts.access_level
        or verdicts.told_enabled is distinct from verdicts.is_enabled
{%- endmacro %}

{#- What the events say that each customer has. -#}
{% macro newest_events() -%}
    select
        events.customer_id,
        events.to_level,
        events.to_enabled
    from {{ ref('access_events') }} as events
    inner join (
        select max(event_id) as event_id
        from {{ ref('access_events') }}
        group by customer_id
    ) as newest
        on events.event_id = newest.event_id
{%- endmacro %}

{#- Flags that no event accounts for were changed by hand; see macros/manual_edits. -#}
{% macro note_manual_edits_of_access() -%}
    insert into {{ ref('manual_edits') }} (
        run_id, found_at, table_name, row_key, columns
    )
    select
        {{ run_id() }},
        {{ now() }},
        'access',
        access.customer_id,
        concat_ws(
            ', ',
            case
                when access.access_level is distinct from verdicts.told_level
                    then 'access_level'
            end,
            case
                when access.is_enabled is distinct from verdicts.told_enabled
                    then 'is_enabled'
            end
        )
    from {{ this }} as access
    -- A held change leaves them as they are; they are reported when they are mended.
    inner join {{ touched('publish_verdicts') }} as verdicts
        on access.customer_id = verdicts.customer_id
    where
        verdicts.has_events
        and (
            access.access_level is distinct from verdicts.told_level
            or access.is_enabled is distinct from verdicts.told_enabled
        )
{%- endmacro %}

{#- The row that the merge has just made, or made in an earlier run that held the
    customer's first grant. -#}
{% macro is_without_history(access) -%}
    coalesce({{ access }}.version = 0 and not {{ access }}.is_enabled, false)
{%- endmacro %}

{#- Whether this run has written an event that the row does not count yet. -#}
{% macro has_new_event(access) -%}
    (
        (
            {{ access }}.run_id is distinct from {{ run_id() }}
            or coalesce({{ access }}.version, 0) = 0
        )
        and exists (
            select 1
            from {{ ref('access_events') }} as events
            where
                events.customer_id = {{ access }}.customer_id
                and events.run_id = {{ run_id() }}
        )
    )
{%- endmacro %}

{#- `version` counts the changes of a customer: the app may keep it in a session and
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
        version = coalesce(access.version, 0)
        + case when {{ has_new_event('access') }} then 1 else 0 end,
        decided_at = {{ now() }},
        run_id = {{ run_id() }}
    from {{ touched('publish_verdicts') }} as verdicts
    where
        access.customer_id = verdicts.customer_id
        and (
            {{ has_new_event('access') }}
            or {{ says_something_else('access', 'verdicts') }}
        )
{%- endmacro %}
