-- Subscriptions whose dates or amounts cannot be right, and renewals left open.
with odd as (
    select
        object_type,
        object_id,
        starts_on_as_set,
        ends_on,
        amount,
        mrr,
        currency,
        line_item_currencies,
        status not in ('ended', 'canceled') as may_sell
    from {{ ref('int_subscriptions') }}
    where
        record_state = 'live'
        and (
            ends_on < starts_on_as_set
            or least(amount, mrr) < 0
            or currency <> line_item_currencies
        )
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
),

running as (
    select
        customer_id,
        object_type,
        object_id,
        plan_code,
        starts_on,
        ends_on,
        quantity,
        amount,
        currency,
        {{ is_exception('starts_on is null', among='object_type') }} as lacks_its_start,
        {{ is_exception('ends_on is null', among='object_type') }} as lacks_its_end
    from {{ ref('int_subscriptions') }}
    where
        record_state = 'live'
        and is_linked
        and status in ('active', 'trialing', 'cancelling', 'past_due')
),

entered_twice as (
    select
        object_type,
        plan_code,
        min(object_id) as object_id,
        string_agg(object_id, ', ' order by object_id) as object_ids
    from running
    -- Nearly none has another of its plan, and then there is nothing to compare.
    where
        (customer_id, object_type, plan_code) in (
            select
                several.customer_id,
                several.object_type,
                several.plan_code
            from running as several
            group by several.customer_id, several.object_type, several.plan_code
            having count(*) > 1
        )
    group by
        customer_id,
        object_type,
        plan_code,
        starts_on,
        ends_on,
        quantity,
        amount,
        currency
    having count(*) > 1
),

-- Not every open renewal that is late, only where the contract has run out meanwhile.
-- What a quarter has not decided nobody waits for.
undecided as (
    select
        judged.deal_id,
        contracts.ends_on,
        contracts.standing,
        contracts.access_ends_on
    from {{ ref('int_deals_judged') }} as judged
    cross join {{ ref('int_clock') }} as clock
    inner join links
        on links.object_type = 'deals' and judged.deal_id = links.object_id
    inner join {{ ref('int_deciding_subscriptions') }} as contracts
        on links.customer_id = contracts.customer_id
    left join {{ ref('int_churn_evidence') }} as churn
        on links.customer_id = churn.customer_id
    where
        judged.role = 'renewal'
        and judged.outcome = 'open'
        and judged.record_state = 'live'
        and contracts.status = 'ended'
        and contracts.standing in ('grace', 'over')
        and contracts.ends_on >= clock.today - 90
        and churn.customer_id is null
)

select
    'warning' as severity,
    'SUBSCRIPTION_WITHOUT_DATES' as kind,
    object_type,
    object_id,
    case when lacks_its_start then 'starts_on' else 'ends_on' end as detail,
    case
        when lacks_its_start
            then
                'Nothing says when it starts, so it cannot win back a customer who '
                || 'left: fill in its first day.'
        else
            'Nothing says when it ends, as nearly all others do, so its access never '
            || 'ends by itself: fill in its last day.'
    end as what_to_do
from running
where lacks_its_start or lacks_its_end
union all
select
    'warning' as severity,
    'SUBSCRIPTION_ENDS_BEFORE_START' as kind,
    object_type,
    object_id,
    cast(null as text) as detail,
    'It ends on ' || ends_on || ', before it starts on ' || starts_on_as_set
    || '; the end counts: correct one of the two.' as what_to_do
from odd
where ends_on < starts_on_as_set
union all
select
    'warning' as severity,
    'SUBSCRIPTION_DUPLICATED' as kind,
    object_type,
    object_id,
    cast(null as text) as detail,
    'The ' || object_type || ' ' || object_ids || ' sell the same customer '
    || plan_code || ' for the same days and amount, so its revenue is counted more '
    || 'than once: delete all but one.' as what_to_do
from entered_twice
union all
select
    'warning' as severity,
    'AMOUNT_NEGATIVE' as kind,
    object_type,
    object_id,
    cast(null as text) as detail,
    'It sells for a negative amount (' || least(amount, mrr) || '), which reduces the '
    || 'recurring revenue: correct the amount or its line items.' as what_to_do
from odd
where may_sell and least(amount, mrr) < 0
union all
select
    'warning' as severity,
    'CURRENCIES_MIXED' as kind,
    object_type,
    object_id,
    cast(null as text) as detail,
    'It is in ' || currency || ', its line items are in ' || line_item_currencies
    || '; they are added up as if they were one: use one currency.' as what_to_do
from odd
where may_sell and currency <> line_item_currencies
union all
select
    'warning' as severity,
    'RENEWAL_UNDECIDED' as kind,
    'deals' as object_type,
    deal_id as object_id,
    cast(null as text) as detail,
    'This renewal is still open, and the contract it renews ended on ' || ends_on
    || case
        when standing = 'grace' then '; access ends after ' || access_ends_on
        else '; access has ended'
    end
    || ': close it as won or lost.' as what_to_do
from undecided
