-- The verdict to keep where nothing can be known: the app's own, or, where companies
-- were merged, the most generous of those they had. A merge takes nothing away.
with access as (
    select * from {{ ref('int_access_before_run') }}
),

absent as (
    select * from {{ ref('int_policy_properties_absent') }}
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

levels as (
    select * from {{ ref('access_levels') }}
),

ranked as (
    select
        access.*,
        coalesce(aliases.survivor_id, access.customer_id) as verdict_of,
        row_number() over (
            partition by coalesce(aliases.survivor_id, access.customer_id)
            order by
                case when access.is_enabled then 0 else 1 end asc,
                case when access.reason_code = 'OVERRIDE_GRANT' then 1 else 0 end asc,
                access.access_until desc nulls first,
                levels.rank desc nulls last,
                case when aliases.survivor_id is null then 0 else 1 end asc,
                access.customer_id asc
        ) as preference
    from access
    left join aliases on access.customer_id = aliases.alias_id
    left join levels on access.access_level = levels.access_level
)

select
    ranked.verdict_of as customer_id,
    ranked.access_level,
    ranked.is_enabled,
    ranked.is_churned,
    ranked.reason_code,
    ranked.effective_at,
    ranked.access_until,
    ranked.evidence_object_type,
    ranked.evidence_object_id,
    ranked.evidence_property,
    ranked.evidence_value,
    -- The portal has lost the property that decided, for every record at once.
    absent.property is not null as is_evidence_lost,
    -- Also when it is held since, because the parent could not be read.
    ranked.is_enabled and (
        ranked.reason_code = 'PARENT_INHERITED'
        or (
            ranked.reason_code = 'UNKNOWN_HELD'
            and coalesce(ranked.evidence_property = 'hs_parent_company_id', false)
        )
    ) as is_inherited
from ranked
left join absent
    on
        ranked.evidence_object_type = absent.object_type
        and ranked.evidence_property = absent.property
where ranked.preference = 1
