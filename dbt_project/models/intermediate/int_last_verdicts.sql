-- The verdict to keep where nothing can be known: the app's own, or, where companies
-- were merged, the most generous of those they had. A merge takes nothing away.
with access as (
    select * from {{ ref('int_access_before_run') }}
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
    verdict_of as customer_id,
    access_level,
    is_enabled,
    is_churned,
    reason_code,
    effective_at,
    access_until,
    -- Also when it is held since, because the parent could not be read.
    is_enabled and (
        reason_code = 'PARENT_INHERITED'
        or (
            reason_code = 'UNKNOWN_HELD'
            and coalesce(
                cast(evidence as json) ->> 'property' = 'hs_parent_company_id', false
            )
        )
    ) as is_inherited
from ranked
where preference = 1
