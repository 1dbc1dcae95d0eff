{{ config(
    unique_key='customer_id',
    merge_exclude_columns=[
        'access_level', 'is_enabled', 'is_churned', 'reason_code', 'evidence',
        'effective_at', 'access_until', 'version', 'decided_at', 'run_id',
    ],
    post_hook=[
        "{{ record_access_events() }}",
        "{{ copy_access_verdicts() }}",
        "{{ use_approvals() }}",
        "{{ end_refusals() }}",
        "{{ record_extract_counts() }}",
        "{{ foreign_key('customer_id', ref('customers'), 'customer_id') }}",
    ],
) }}
{{ publish_gate() }}

-- The merge only makes a row for each customer, without access. The post-hooks copy
-- the verdict and write the events, in the same transaction.
select
    verdicts.customer_id,
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
from {{ ref('int_access_verdicts') }} as verdicts
-- The foreign key's parent, so that it is published first.
inner join {{ ref('customers') }} as customers
    on verdicts.customer_id = customers.customer_id
