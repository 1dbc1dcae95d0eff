{{ config(materialized='rebuilt_view') }}

-- The verdict to keep where nothing can be known: the app's own, or, where companies
-- were merged, the most generous of those they had. A merge takes nothing away.
with absent as (
    select * from {{ ref('int_policy_properties_absent') }}
),

aliases as (
    select * from {{ ref('int_company_aliases') }}
),

levels as (
    select * from {{ ref('access_levels') }}
),

-- Only of what was merged there is more than one.
ranked as (
    select
        access.customer_id,
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
    from {{ ref('int_access_before_run') }} as access
    left join aliases on access.customer_id = aliases.alias_id
    left join levels on access.access_level = levels.access_level
    where
        coalesce(aliases.survivor_id, access.customer_id) in (
            select survivors.survivor_id from aliases as survivors
        )
)

select
    coalesce(aliases.survivor_id, access.customer_id) as customer_id,
    access.access_level,
    access.is_enabled,
    access.is_churned,
    access.reason_code,
    access.effective_at,
    access.access_until,
    access.evidence_object_type,
    access.evidence_object_id,
    access.evidence_property,
    access.evidence_value,
    -- The portal has lost the property that decided, for every record at once.
    absent.property is not null as is_evidence_lost,
    -- Also when it is held since, because the parent could not be read.
    access.is_enabled and (
        access.reason_code = 'PARENT_INHERITED'
        or (
            access.reason_code = 'UNKNOWN_HELD'
            and coalesce(access.evidence_property = 'hs_parent_company_id', false)
        )
    ) as is_inherited
from {{ ref('int_access_before_run') }} as access
left join aliases on access.customer_id = aliases.alias_id
left join ranked
    on access.customer_id = ranked.customer_id and ranked.preference > 1
left join absent
    on
        access.evidence_object_type = absent.object_type
        and access.evidence_property = absent.property
where ranked.customer_id is null
