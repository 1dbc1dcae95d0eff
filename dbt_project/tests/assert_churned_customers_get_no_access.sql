-- The promise the project exists for, before anything is published.
select
    customer_id,
    reason_code
from {{ ref('int_access_verdicts') }}
where is_churned and is_enabled and reason_code <> 'UNKNOWN_HELD'
