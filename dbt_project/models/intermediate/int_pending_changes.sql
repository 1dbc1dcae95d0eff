-- What waits for a person: held changes of access, and losses of the extract. What
-- was refused waits for nobody.
select
    customer_id,
    change_id
from {{ ref('int_breaker_holds') }}
where hold_reason not in ('REJECTED', 'UNDONE')
union all
select
    cast(null as text) as customer_id,
    losses.change_id
from {{ ref('int_extract_losses') }} as losses
left join {{ ref('int_refusals') }} as refusals
    on losses.change_id = refusals.change_id
where losses.is_lost and refusals.change_id is null
