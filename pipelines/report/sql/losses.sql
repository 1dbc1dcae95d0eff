-- Object types that lost so many rows that what depends on them waits.
select
    plan_id,
    object_type,
    detail
from ops.extract_guard
where is_held and not is_rejected
order by object_type
