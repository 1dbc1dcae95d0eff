-- Which rule decides, first match wins (DESIGN, section 5). Nothing else about
-- access is judged anywhere.
with facts as (
    select * from {{ ref('int_access_facts') }}
),

clock as (
    select * from {{ ref('int_clock') }}
)

select
    -- Every fact goes on to the verdict; int_access_facts lists them.
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
from facts
cross join clock
