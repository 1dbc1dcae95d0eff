{{ config(
    materialized='rebuilt_rows',
    unique_key=['object_type', 'object_id'],
    meta={'rows': 'contracts'},
) }}

-- depends_on: {{ ref('int_subscriptions_touched') }}
-- Every subscription with its status today. An end date that has passed and a
-- cancellation stay evidence whatever became of the record; anything else about a
-- record that is gone, or has lost its customer, is unknown: absence says nothing.
with subscriptions as (
    select * from {{ ref('int_subscriptions_from_deals') }}
    {{ only_rows_to_build() }}
    union all
    select * from {{ ref('int_subscriptions_from_commerce') }}
    {{ only_rows_to_build() }}
),

links as (
    select * from {{ ref('int_records_linked_to_customers') }}
),

published as (
    select * from {{ ref('int_subscriptions_before_run') }}
),

paused_customers as (
    select * from {{ ref('int_pause_evidence') }}
),

access as (
    select
        customer_id,
        reason_code,
        access_until
    from {{ ref('int_access_before_run') }}
),

owned as (
    select
        subscriptions.*,
        coalesce(links.customer_id, published.customer_id) as customer_id,
        links.customer_id is not null as is_linked,
        published.status as published_status,
        published.ends_on as published_ends_on,
        published.customer_id as published_customer_id,
        clock.today
    from subscriptions
    left join links
        on
            subscriptions.object_type = links.object_type
            and subscriptions.object_id = links.object_id
    left join published on subscriptions.subscription_id = published.subscription_id
    cross join {{ ref('int_clock') }} as clock
),

judged as (
    select
        owned.*,
        paused_customers.customer_id is not null as is_customer_paused,
        case
            when owned.record_state = 'merged' then 'ended'
            when owned.declared_status in ('canceled', 'lost')
                then case
                    when
                        owned.declared_status = 'canceled'
                        and owned.ends_on >= owned.today
                        then 'cancelling'
                    else 'canceled'
                end
            when
                owned.declared_status = 'ended' or owned.ends_on < owned.today
                then 'ended'
            when owned.record_state <> 'live' or not owned.is_linked then 'unknown'
            when owned.declared_status = 'unknown' then 'unknown'
            when owned.starts_on > owned.today then 'scheduled'
            else owned.declared_status
        end as status_of_record
    from owned
    left join paused_customers on owned.customer_id = paused_customers.customer_id
),

-- Grace of an unpaid subscription is counted from its due date, else from the grace
-- already running, else from the day HubSpot last changed it. Once it has run out, a
-- later edit does not start it again.
overdue as (
    select
        judged.*,
        case when judged.published_status = 'past_due' then access.reason_code end
            as published_reason_code,
        case when judged.published_status = 'past_due' then access.access_until end
            as published_access_until,
        case
            when
                judged.is_customer_paused
                and judged.status_of_record in (
                    'active', 'trialing', 'cancelling', 'past_due'
                )
                then 'paused'
            else judged.status_of_record
        end as status,
        case
            when judged.past_due_since <= judged.today then judged.past_due_since
            when access.reason_code = 'GRACE' and judged.published_status = 'past_due'
                then
                    cast(access.access_until at time zone 'UTC' as date)
                    - 1 - {{ var('grace_days') }}
            when
                access.reason_code in ('SUBSCRIPTION_ENDED', 'PARENT_INHERITED')
                and judged.published_status = 'past_due' then null
            else least(
                cast(judged.updated_at at time zone 'UTC' as date), judged.today
            )
        end as overdue_since
    from judged
    left join access on judged.customer_id = access.customer_id
)

select
    subscription_id,
    customer_id,
    object_type,
    object_id,
    record_state,
    is_linked,
    name,
    plan_code,
    access_level,
    status,
    starts_on,
    starts_on_as_set,
    ends_on,
    case
        when is_customer_paused or record_state = 'merged' then null
        when status = 'past_due' then overdue_since + {{ var('grace_days') }}
        when
            status in ('active', 'trialing', 'ended')
            then ends_on + {{ var('grace_days') }}
        when status = 'cancelling' then ends_on
    end as access_ends_on,
    {{ as_money('quantity') }} as quantity,
    {{ as_money('amount') }} as amount,
    currency,
    line_item_currencies,
    {{ as_money('mrr') }} as mrr,
    overdue_since,
    case
        when
            status in ('ended', 'cancelling') and ends_on is not null
            then ends_on_property
        else status_property
    end as evidence_property,
    case
        when
            status in ('ended', 'cancelling') and ends_on is not null
            then cast(ends_on as text)
        else status_value
    end as evidence_value,
    case
        when
            status in ('ended', 'cancelling')
            and (published_ends_on is distinct from ends_on)
            then cast(published_ends_on as text)
        when (published_status is distinct from status) then published_status
    end as evidence_old_value,
    published_status,
    published_ends_on,
    published_customer_id,
    published_reason_code,
    published_access_until,
    is_customer_paused,
    declared_status,
    updated_at
from overdue
