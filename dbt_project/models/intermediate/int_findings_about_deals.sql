-- Deals and commerce subscriptions that cannot be told whose they are, or what.
with subscriptions as (
    select * from {{ ref('int_subscriptions') }}
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
    where object_type in ('deals', 'subscriptions')
),

line_items as (
    select * from {{ ref('int_line_items_summarised') }}
),

-- The links of a company that is gone are gone with it, which is said of the company.
customers_gone as (
    select customer_id from {{ ref('int_customers') }}
    where record_state <> 'live'
),

-- A company that is gone took the link of its lost renewal along; its verdict knows.
signals_of_companies_gone as (
    select evidence_object_id as object_id
    from {{ ref('int_last_verdicts') }}
    where
        evidence_object_type = 'deals'
        and customer_id in (select gone.customer_id from customers_gone as gone)
),

signals as (
    select signals.*
    from {{ ref('int_deal_signals') }} as signals
    inner join {{ ref('stg_hubspot__deals') }} as deals
        on signals.object_id = deals.deal_id
    cross join {{ ref('int_clock') }} as clock
    where
        signals.effect = 'churn'
        and deals.record_state = 'live'
        -- Who it was about a year ago is gone as well, and nobody will look.
        and coalesce(
            cast(signals.closed_at at time zone 'UTC' as date) >= clock.today - 365,
            true
        )
)

select
    case when customer_id is null then 'error' else 'warning' end as severity,
    'SUBSCRIPTION_WITHOUT_COMPANY' as kind,
    object_type,
    object_id,
    cast(null as text) as detail,
    'No live company is associated'
    || case
        when customer_id is null then ', so nobody gets access from it'
        else ', so the access it gave is held as it was'
    end
    || ': associate the company.' as what_to_do
from subscriptions
where
    not is_linked
    and record_state = 'live'
    and status not in ('ended', 'canceled')
    and (
        customer_id is null
        or customer_id not in (select gone.customer_id from customers_gone as gone)
    )
union all
select
    'warning' as severity,
    'SUBSCRIPTION_WITH_SEVERAL_COMPANIES' as kind,
    subscriptions.object_type,
    subscriptions.object_id,
    cast(null as text) as detail,
    'Several companies are associated and none is primary; company '
    || links.customer_id || ' was taken: mark the primary one.' as what_to_do
from subscriptions
inner join links
    on
        subscriptions.object_type = links.object_type
        and subscriptions.object_id = links.object_id
where links.is_ambiguous and subscriptions.record_state = 'live'
union all
select
    'error' as severity,
    'SUBSCRIPTION_STATUS_UNKNOWN' as kind,
    object_type,
    object_id,
    evidence_property as detail,
    case
        when object_type = 'deals'
            then
                'This deal gave access and its stage ("' || coalesce(evidence_value, '')
                || '") is neither won nor lost now; access is held as it was: close '
                || 'the deal, or give the stage a row in seeds/deal_stages.csv.'
        else
            'Status "' || coalesce(evidence_value, '') || '" has no meaning in '
            || 'seeds/subscription_statuses.csv; access is held as it was.'
    end as what_to_do
from subscriptions
where declared_status = 'unknown' and status = 'unknown' and record_state = 'live'
union all
select
    'warning' as severity,
    'SUBSCRIPTION_RECORD_GONE' as kind,
    object_type,
    object_id,
    record_state as detail,
    'A record that gave access is ' || record_state || ' in HubSpot. That is no reason '
    || 'to revoke: access is held. Restore the record, or say that the customer left.'
        as what_to_do
from subscriptions
where status = 'unknown' and record_state <> 'live'
union all
select
    'info' as severity,
    'PLAN_UNKNOWN' as kind,
    subscriptions.object_type,
    subscriptions.object_id,
    cast(null as text) as detail,
    'None of its line items has a SKU that seeds/plans.csv knows, so it gives level '
    || '{{ var("default_access_level") }}.' as what_to_do
from subscriptions
inner join line_items
    on
        subscriptions.object_type = line_items.parent_type
        and subscriptions.object_id = line_items.parent_id
where
    subscriptions.plan_code is null
    and subscriptions.record_state = 'live'
    and subscriptions.status not in ('ended', 'canceled')
union all
select
    'error' as severity,
    'CHURN_WITHOUT_COMPANY' as kind,
    signals.object_type,
    signals.object_id,
    signals.code as detail,
    'This deal says that a customer left (' || signals.code || '), and no live company '
    || 'is associated, so nobody''s access ends: associate the company.' as what_to_do
from signals
left join links
    on
        signals.object_type = links.object_type
        and signals.object_id = links.object_id
where
    links.customer_id is null
    and signals.object_id not in (
        select known.object_id from signals_of_companies_gone as known
    )
