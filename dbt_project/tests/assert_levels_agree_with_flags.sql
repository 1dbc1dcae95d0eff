-- The app may read either; they must never say different things.
select
    customer_id,
    access_level,
    is_enabled
from {{ ref('int_access_verdicts') }}
where is_enabled = (access_level = 'none')
