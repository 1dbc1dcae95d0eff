select
    customer_id,
    occurred_at,
    from_enabled,
    to_enabled,
    approved_by,
    case when from_enabled and not to_enabled then evidence end as evidence
from (
    {{ before_run('access_events', [
        ('customer_id', 'text'), ('occurred_at', 'timestamptz'),
        ('from_enabled', 'boolean'), ('to_enabled', 'boolean'),
        ('approved_by', 'text'), ('evidence', 'text'),
    ]) }}
) as events
