-- Every change is explained by a record that a person can open.
select
    customer_id,
    evidence
from {{ ref('int_access_verdicts') }}
where
    cast(evidence as json) ->> 'object_type' is null
    or cast(evidence as json) ->> 'object_id' is null
