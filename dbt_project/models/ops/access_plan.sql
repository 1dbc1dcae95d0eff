-- What publishing would change, one row per customer. `plan_id` names this exact set
-- with its evidence: an approval of it is void as soon as anything in it differs.
with verdicts as (
    select * from {{ ref('int_access_verdicts') }}
),

access as (
    select * from {{ ref('int_access_before_run') }}
),

customers as (
    select * from {{ ref('int_customers') }}
),

published as (
    select * from {{ ref('int_customers_before_run') }}
),

unchanged_customers as (
    select customers.customer_id
    from (
        select {{ app_customer_columns() }} from customers
        intersect
        select {{ app_customer_columns() }} from published
    ) as customers
),

compared as (
    select
        customers.customer_id,
        customers.name,
        verdicts.reason_code,
        access.access_level as from_level,
        verdicts.access_level as to_level,
        access.is_enabled as from_enabled,
        verdicts.is_enabled as to_enabled,
        verdicts.evidence,
        published.customer_id is null as is_new,
        unchanged_customers.customer_id is null
        or (access.reason_code is distinct from verdicts.reason_code)
        or (access.is_churned is distinct from verdicts.is_churned)
        or (access.effective_at is distinct from verdicts.effective_at)
        or (access.access_until is distinct from verdicts.access_until)
        or (
            cast(access.evidence as {{ json_type() }})
            is distinct from cast(verdicts.evidence as {{ json_type() }})
        ) as is_different
    from customers
    left join published on customers.customer_id = published.customer_id
    left join unchanged_customers
        on customers.customer_id = unchanged_customers.customer_id
    left join access on customers.customer_id = access.customer_id
    left join verdicts on customers.customer_id = verdicts.customer_id
),

planned as (
    select
        customer_id,
        name,
        case
            when to_enabled and not coalesce(from_enabled, false) then 'grant'
            when from_enabled and not to_enabled then 'revoke'
            when from_enabled and (from_level is distinct from to_level) then 'change'
            when is_new then 'create'
            when is_different then 'update'
        end as action,
        reason_code,
        from_level,
        to_level,
        from_enabled,
        to_enabled,
        evidence
    from compared
),

changes as (
    select * from planned
    where action is not null
),

plan as (
    select
        md5(string_agg(
            concat_ws('|', customer_id, action, reason_code, to_level, evidence),
            chr(10) order by customer_id
        )) as plan_id
    from changes
)

select
    plan.plan_id,
    changes.customer_id,
    changes.name,
    changes.action,
    changes.reason_code,
    changes.from_level,
    changes.to_level,
    changes.from_enabled,
    changes.to_enabled,
    changes.evidence,
    false as held
from changes
cross join plan
