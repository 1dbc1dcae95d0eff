-- Whose evidence is new, so that HubSpot is asked how it came about: the property's own
-- history, before anything is published. Only real properties have one. Not for the
-- first filling of an empty app, which changes nobody's access. And which of two facts
-- that disagree is the newer one: a customer who is said to have left, on a day before
-- their newest subscription began, either came back or has left again.
with plan as (
    select
        *,
        cast(evidence as json) ->> 'object_type' as object_type,
        cast(evidence as json) ->> 'object_id' as object_id,
        cast(evidence as json) ->> 'property' as property,
        cast(evidence as json) ->> 'value' as value,
        cast((cast(evidence as json) ->> 'hubspot_updated_at') as timestamptz)
            as updated_at
    from {{ ref('access_plan') }}
),

access as (
    select * from {{ ref('int_access_before_run') }}
),

before as (
    select count(*) as customers from access
),

properties as (
    select * from {{ ref('stg_hubspot__properties') }}
),

history as (
    {{ before_run('evidence_history', [
        ('object_type', 'text'), ('object_id', 'text'), ('property', 'text'),
        ('value', 'text'), ('record_updated_at', 'timestamptz'),
    ], schema='ops') }}
),

disputed as (
    select
        signals.object_type,
        signals.object_id,
        signals.property,
        signals.value,
        signals.date_property,
        signals.date_value,
        signals.updated_at
    from {{ ref('int_customer_signals') }} as signals
    inner join {{ ref('int_deciding_subscriptions') }} as subscriptions
        on signals.customer_id = subscriptions.customer_id
    where
        signals.effect = 'churn'
        and signals.object_type = 'companies'
        and signals.date_value is not null
        and signals.effective_on < subscriptions.latest_start_on
),

asked as (
    select
        plan.object_type,
        plan.object_id,
        plan.property,
        plan.value,
        plan.updated_at,
        case plan.action when 'revoke' then 1 when 'grant' then 2 else 3 end as urgency
    from plan
    cross join before
    left join access on plan.customer_id = access.customer_id
    where
        plan.value is not null
        and before.customers > 0
        and cast(plan.evidence as {{ json_type() }})
        is distinct from cast(access.evidence as {{ json_type() }})
    union all
    select
        object_type,
        object_id,
        property,
        value,
        updated_at,
        1 as urgency
    from disputed
    union all
    select
        object_type,
        object_id,
        date_property as property,
        date_value as value,
        updated_at,
        1 as urgency
    from disputed
),

facts as (
    select
        asked.object_type,
        asked.object_id,
        asked.property,
        asked.value,
        max(asked.updated_at) as updated_at,
        min(asked.urgency) as urgency
    from asked
    inner join properties
        on
            asked.object_type = properties.object_type
            and asked.property = properties.property
    group by asked.object_type, asked.object_id, asked.property, asked.value
)

select
    facts.object_type,
    facts.object_id,
    facts.property,
    facts.value
from facts
-- What was told since the record last changed is still true.
left join history
    on
        facts.object_type = history.object_type
        and facts.object_id = history.object_id
        and facts.property = history.property
        and facts.value = history.value
        and facts.updated_at <= history.record_updated_at
where history.object_id is null
order by facts.urgency, facts.object_type, facts.object_id, facts.property
limit {{ var('evidence_history_limit') }}
