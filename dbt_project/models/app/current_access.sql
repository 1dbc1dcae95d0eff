{{ config(materialized='lasting_view', contract={'enforced': false}) }}
{{ publish_gate() }}

-- app.access says what was decided, this view what is true now: access that ends at an
-- instant has ended from that instant on, whether or not a sync has run since.
with access as (
    select
        *,
        is_enabled and coalesce(access_until <= now(), false) as has_ended
    from {{ ref('access') }}
)

select
    customer_id,
    case when has_ended then 'none' else access_level end as access_level,
    is_enabled and not has_ended as is_enabled,
    has_ended,
    is_churned,
    reason_code,
    evidence,
    effective_at,
    access_until,
    version,
    decided_at,
    run_id
from access
