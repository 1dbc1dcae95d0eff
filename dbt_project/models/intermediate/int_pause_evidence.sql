-- The newest pause of a customer that counts today. It pauses every subscription.
with signals as (
    select
        signals.*,
        row_number() over (
            partition by signals.customer_id
            order by signals.effective_on desc, signals.code asc, signals.object_id asc
        ) as preference
    from {{ ref('int_customer_signals') }} as signals
    cross join {{ ref('int_clock') }} as clock
    where signals.effect = 'pause' and signals.effective_on <= clock.today
)

select
    customer_id,
    object_type,
    object_id,
    property,
    value,
    updated_at
from signals
where preference = 1
