-- What the app reads, after the hooks: a churned customer is out.
select
    customer_id,
    reason_code
from {{ ref('access') }}
where
    (is_churned and is_enabled and reason_code <> 'UNKNOWN_HELD')
    or is_enabled = (access_level = 'none')
