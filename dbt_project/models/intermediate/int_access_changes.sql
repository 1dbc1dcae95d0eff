-- What publishing would change, one row per customer, before anyone asks whether it
-- may. `change_id` holds no time: an edit that decides nothing leaves it as it is.
with clock as (
    select * from {{ ref('int_clock') }}
),

-- Nearly nobody: for whom the app would say something else, or has said nothing.
different as (
    select
        customers.customer_id,
        customers.name,
        customers.is_new,
        customers.is_different as is_customer_different,
        coalesce(verdicts.is_different, false) as is_access_different,
        verdicts.reason_code,
        verdicts.access_level,
        verdicts.is_enabled,
        verdicts.access_until,
        verdicts.evidence,
        verdicts.evidence_object_type,
        verdicts.evidence_object_id,
        verdicts.evidence_property,
        verdicts.evidence_value
    from {{ ref('int_customers') }} as customers
    left join {{ ref('int_access_verdicts') }} as verdicts
        on customers.customer_id = verdicts.customer_id
    where customers.is_new or customers.is_different or verdicts.is_different
),

customers_with_events as (
    select distinct customer_id
    from {{ ref('int_events_before_run') }}
    where customer_id in (select different.customer_id from different)
),

compared as (
    select
        different.customer_id,
        different.name,
        different.reason_code,
        access.access_level as from_level,
        different.access_level as to_level,
        access.is_enabled as from_enabled,
        different.is_enabled as to_enabled,
        access.access_until as from_until,
        different.access_until as to_until,
        different.evidence,
        different.evidence_object_type as object_type,
        different.evidence_object_id as object_id,
        different.evidence_property as property,
        different.evidence_value as value,
        different.is_new,
        different.is_customer_different,
        different.is_access_different,
        -- Its access ended at its own date; taking the flag away takes nothing more.
        case
            when access.is_enabled and access.access_until <= clock.now_at
                then access.access_until
        end as lapsed_at,
        -- The app had it before us. A row without access and version is our own, of a
        -- customer whose first grant is held.
        access.customer_id is not null
        and customers_with_events.customer_id is null
        and not (
            coalesce(access.version, 1) = 0 and not coalesce(access.is_enabled, false)
        ) as is_adopted,
        customers_with_events.customer_id is not null as has_events
    from different
    cross join clock
    left join {{ ref('int_access_before_run') }} as access
        on different.customer_id = access.customer_id
    left join customers_with_events
        on different.customer_id = customers_with_events.customer_id
),

judged as (
    select
        *,
        case
            when to_enabled and not coalesce(from_enabled, false) then 'grant'
            when from_enabled and not to_enabled then 'revoke'
            when from_enabled and to_enabled and from_level <> to_level then 'change'
            when is_new then 'create'
            when is_customer_different or is_access_different then 'update'
        end as action,
        -- What it is for the customer who tries to log in now.
        case
            when from_enabled and lapsed_at is null and not to_enabled then 'revoke'
            when to_enabled and lapsed_at is not null then 'grant'
            when to_enabled and not coalesce(from_enabled, false) then 'grant'
            when
                from_enabled and to_enabled and to_until is not null
                and coalesce(to_until < from_until, true)
                then 'shorten'
        end as change_class
    from compared
)

select
    customer_id,
    name,
    action,
    change_class,
    reason_code,
    from_level,
    to_level,
    from_enabled,
    to_enabled,
    to_until,
    evidence,
    is_access_different,
    is_adopted,
    has_events,
    lapsed_at,
    md5(concat_ws(
        '|',
        customer_id,
        action,
        reason_code,
        to_level,
        object_type,
        object_id,
        property,
        value
    )) as change_id
from judged
where action is not null
