-- Every company of whose access a customer would have a part: its parent, and that
-- one's where it inherits as well. Twenty levels are more than any group has, and end a
-- circle.
with recursive verdicts as (
    select
        customer_id,
        inherits_from
    from {{ ref('int_access_verdicts_of_survivors') }}
    where rule = 9 and inherits_from is not null
),

chains as (
    select
        customer_id,
        inherits_from as ancestor_id,
        1 as levels
    from verdicts
    union
    select
        chains.customer_id,
        verdicts.inherits_from as ancestor_id,
        chains.levels + 1 as levels
    from chains
    inner join verdicts on chains.ancestor_id = verdicts.customer_id
    where chains.levels < 20
)

select
    customer_id,
    ancestor_id,
    min(levels) as levels
from chains
group by customer_id, ancestor_id
