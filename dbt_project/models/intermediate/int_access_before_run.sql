-- Evidence as text, for others to keep as it is, and what it says, read once.
select
    customer_id,
    access_level,
    is_enabled,
    is_churned,
    reason_code,
    cast(evidence as text) as evidence,
    evidence ->> 'object_type' as evidence_object_type,
    evidence ->> 'object_id' as evidence_object_id,
    evidence ->> 'property' as evidence_property,
    evidence ->> 'value' as evidence_value,
    evidence ->> 'inherited_from' as inherited_from,
    evidence ->> 'inherited_reason_code' as inherited_reason_code,
    effective_at,
    access_until,
    version
from (
    {{ before_run('access', [
        ('customer_id', 'text'), ('access_level', 'text'), ('is_enabled', 'boolean'),
        ('is_churned', 'boolean'), ('reason_code', 'text'),
        ('evidence', json_type()), ('effective_at', 'timestamptz'),
        ('access_until', 'timestamptz'), ('version', 'bigint'),
    ]) }}
) as access
