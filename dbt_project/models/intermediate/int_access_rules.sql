{{ config(materialized='rebuilt_view') }}

-- Which rule decides, first match wins (DESIGN, section 5); 9 is the parent company.
-- Nothing else about access is judged anywhere.
with facts as (
    select * from {{ ref('int_access_facts') }}
),

clock as (
    select * from {{ ref('int_clock') }}
),

-- Whether the parent company decides. Once it has, no missing link, parent or policy
-- gives the decision back: that would be absence. The explicit policy `own` does.
asked as (
    select
        -- Every fact goes on to the verdict; int_access_facts lists them.
        facts.*,  -- noqa: AM04
        coalesce(case facts.parent_policy
            when 'inherit'
                then facts.parent_company_id is not null or facts.last_is_inherited
            when 'inherit_if_none'
                then
                    coalesce(
                        facts.standing not in ('in_force', 'grace', 'unknown'), true
                    )
                    and (
                        facts.parent_company_id is not null or facts.last_is_inherited
                    )
            else
                facts.last_is_inherited
                and not coalesce(facts.is_parent_policy_explicit, false)
                and coalesce(facts.standing not in ('in_force', 'grace'), true)
        end, false) as is_parent_asked,
        case
            when
                facts.parent_policy in ('inherit', 'inherit_if_none')
                and facts.record_state = 'live'
                then facts.parent_company_id
        end as inherits_from
    from facts
)

select
    facts.*,  -- noqa: AM04
    clock.now_at,
    case
        when facts.override_effect = 'deny' and facts.override_ends_at > clock.now_at
            then 1
        when facts.override_effect = 'grant' and facts.override_ends_at > clock.now_at
            then 2
        when
            facts.churned_on <= clock.today
            and coalesce(facts.latest_start_on <= facts.churned_on, true)
            then 3
        when facts.is_parent_asked and facts.pause_object_id is not null then 6
        when facts.is_parent_asked then 9
        when
            facts.last_is_evidence_lost
            and coalesce(facts.last_access_until > clock.now_at, true)
            then 7
        when facts.standing = 'in_force' then 4
        when facts.standing = 'grace' then 5
        when facts.standing = 'over' then 6
        when facts.standing = 'unknown' then 7
        when facts.record_state <> 'live' then 7
        -- Its subscription went to another customer, which is no evidence about
        -- this one. An override that ran out was evidence enough by itself.
        when
            facts.standing is null
            and facts.last_is_enabled
            and facts.last_reason_code <> 'OVERRIDE_GRANT'
            then 7
        else 8
    end as rule
from asked as facts
cross join clock
