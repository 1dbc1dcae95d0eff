-- Customers whose access a person has to look at.
with customers as (
    select * from {{ ref('int_customers') }}
),

verdicts as (
    select
        customer_id,
        rule,
        is_evidence_lost,
        access_level,
        is_enabled,
        reason_code,
        evidence_object_type,
        evidence_object_id
    from {{ ref('int_access_verdicts') }}
),

overrides as (
    select * from {{ ref('int_customer_overrides') }}
),

-- Each circle once, by the lowest id in it.
circles as (
    select
        members.customer_id,
        string_agg(distinct chains.ancestor_id, ', ' order by chains.ancestor_id)
            as member_ids
    from {{ ref('int_parent_chains') }} as members
    inner join {{ ref('int_parent_chains') }} as chains
        on members.customer_id = chains.customer_id
    where members.customer_id = members.ancestor_id
    group by members.customer_id
    having members.customer_id = min(chains.ancestor_id)
),

companies as (
    select * from {{ ref('stg_hubspot__companies') }}
),

-- What the company itself says about staying or leaving.
declared as (
    select
        policy_values.object_id as customer_id,
        policy_values.property,
        policy_values.value,
        policy.effect
    from {{ ref('stg_hubspot__policy_values') }} as policy_values
    inner join {{ ref('churn_signals') }} as policy
        on
            policy_values.object_type = policy.object_type
            and policy_values.property = policy.property
            and lower(policy_values.value) = lower(policy.value)
    where
        policy_values.object_type = 'companies'
        and policy_values.kind = 'text'
        and policy_values.record_state = 'live'
),

-- A churn that has yet to come contradicts nothing.
churned as (
    select
        signals.customer_id,
        signals.property
    from {{ ref('int_customer_signals') }} as signals
    cross join {{ ref('int_clock') }} as clock
    where
        signals.object_type = 'companies'
        and signals.effect = 'churn'
        and signals.effective_on <= clock.today
),

-- Of whom the verdict says something that a declaration may contradict.
decided as (
    select
        customer_id,
        reason_code,
        evidence_object_type as evidence_type,
        evidence_object_id as evidence_id,
        'none' as effect,
        cast(null as text) as property
    from verdicts
    where rule = 3 and evidence_object_type <> 'companies'
    union all
    select
        verdicts.customer_id,
        verdicts.reason_code,
        verdicts.evidence_object_type as evidence_type,
        verdicts.evidence_object_id as evidence_id,
        'churn' as effect,
        churned.property
    from verdicts
    inner join churned on verdicts.customer_id = churned.customer_id
    where verdicts.rule in (4, 5)
),

contradicted as (
    select
        declared.*,
        decided.reason_code,
        decided.evidence_type,
        decided.evidence_id
    from decided
    inner join declared
        on
            decided.customer_id = declared.customer_id
            and decided.effect = declared.effect
            and coalesce(decided.property, declared.property) = declared.property
)

select
    case when verdicts.is_enabled then 'error' else 'warning' end as severity,
    'ACCESS_HELD' as kind,
    'companies' as object_type,
    customers.customer_id as object_id,
    customers.record_state as detail,
    'Access is held as it was (' || verdicts.access_level || '), because '
    || case customers.record_state
        when 'live'
            then case
                when verdicts.rule = 9
                    then
                        'the access of its parent company cannot be read: restore the '
                        || 'parent or the link to it, or let the company stand alone '
                        || '(own in seeds/parent_access.csv)'
                else
                    'no subscription of this company can be read: restore what is '
                    || 'missing'
            end
        else
            'the company is ' || customers.record_state
            || ' in HubSpot: restore what is missing'
    end
    || ', or set its status to churned.' as what_to_do
from customers
inner join verdicts on customers.customer_id = verdicts.customer_id
where
    verdicts.reason_code = 'UNKNOWN_HELD'
    and customers.record_state <> 'merged'
    -- One finding each: int_findings_about_policy says it of a property that is gone,
    -- int_findings_about_deals of a subscription.
    and not verdicts.is_evidence_lost
    and not (
        customers.record_state = 'live'
        and verdicts.rule = 7
        and exists (
            select 1
            from {{ ref('int_subscriptions') }} as subscriptions
            where
                subscriptions.customer_id = customers.customer_id
                and subscriptions.status = 'unknown'
        )
    )
union all
select
    'error' as severity,
    'OVERRIDE_WITHOUT_END' as kind,
    'companies' as object_type,
    object_id,
    property as detail,
    'Override '
    || property
    || ' = '
    || value
    || ' is ignored, because '
    || date_property
    || case when ends_value is null then ' is empty' else ' is no date' end
    || ': set the day on which it ends.' as what_to_do
from overrides
where ends_at is null
union all
select
    'error' as severity,
    'PARENT_CIRCLE' as kind,
    'companies' as object_type,
    customer_id as object_id,
    member_ids as detail,
    'Companies ' || member_ids || ' are each other''s parents, so none can have the '
    || 'access of its parent; it is held as it was: correct the parent company of one '
    || 'of them.' as what_to_do
from circles
union all
select
    'warning' as severity,
    'OVERRIDE_ON_RECORD_GONE' as kind,
    'companies' as object_type,
    overrides.object_id,
    overrides.property as detail,
    'Override ' || overrides.property || ' = ' || overrides.value
    || ' counts until its end, although its company is ' || companies.record_state
    || case
        when companies.record_state = 'merged'
            then
                ' into ' || overrides.customer_id || ': to end it sooner, set an '
                || 'override there.'
        else ' in HubSpot: restore the company, or let it run out.'
    end as what_to_do
from overrides
inner join companies on overrides.object_id = companies.company_id
where overrides.is_in_force and companies.record_state <> 'live'
union all
select
    'warning' as severity,
    'STATUS_CONTRADICTED' as kind,
    'companies' as object_type,
    customer_id as object_id,
    property as detail,
    'Its ' || property || ' is "' || value || '", yet '
    || case
        when effect = 'none'
            then
                reason_code || ' (' || evidence_type || ' ' || evidence_id
                || ') has ended its access'
        else 'a subscription started since and gives access'
    end
    || ': correct the one that is wrong.' as what_to_do
from contradicted
