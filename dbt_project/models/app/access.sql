{{ config(
    unique_key='customer_id',
    merge_exclude_columns=[
        'access_level', 'is_enabled', 'is_churned', 'reason_code', 'evidence',
        'effective_at', 'access_until', 'version', 'decided_at', 'run_id',
    ],
    post_hook=[
        "{{ publish(ref('customers')) }}",
        "{{ publish(ref('customer_aliases')) }}",
        "{{ publish(ref('contacts')) }}",
        "{{ remove_ended_memberships() }}",
        "{{ publish(ref('memberships')) }}",
        "update {{ touched('int_contacts_touched') }} set is_published = true",
        "{{ publish(ref('subscriptions')) }}",
        "{{ publish(this) }}",
        "{{ stage_verdicts() }}",
        "{{ note_manual_edits_of_access() }}",
        "{{ record_access_events() }}",
        "{{ copy_access_verdicts() }}",
        "{{ notify_of_access() }}",
        "{{ use_approvals() }}",
        "{{ end_refusals() }}",
        "{{ record_extract_counts() }}",
        "{{ foreign_key(ref('customer_aliases'), 'customer_id', ref('customers'), 'customer_id') }}",
        "{{ foreign_key(ref('memberships'), 'contact_id', ref('contacts'), 'contact_id') }}",
        "{{ foreign_key(ref('memberships'), 'customer_id', ref('customers'), 'customer_id') }}",
        "{{ foreign_key(ref('subscriptions'), 'customer_id', ref('customers'), 'customer_id') }}",
        "{{ foreign_key(this, 'customer_id', ref('customers'), 'customer_id') }}",
        "{{ foreign_key(ref('access_events'), 'customer_id', ref('customers'), 'customer_id') }}",
    ],
) }}
{{ publish_gate() }}

-- The last of app's tables, whose post-hooks publish all of them: every row that
-- differs, the verdicts and their events, in one transaction. Its own rows are those
-- of new customers, without access until the verdict is copied.
select
    customer_id,
    'none' as access_level,
    false as is_enabled,
    false as is_churned,
    'UNKNOWN_HELD' as reason_code,
    cast(null as {{ json_type() }}) as evidence,
    cast(null as timestamptz) as effective_at,
    cast(null as timestamptz) as access_until,
    cast(0 as bigint) as version,
    {{ now() }} as decided_at,
    {{ run_id() }} as run_id
from {{ ref('int_access_verdicts') }}
