{{ config(materialized='rebuilt_view') }}

-- Customers with the access of a parent have its verdict, whichever explicit rule it
-- rests on. A parent that is missing, unclear, or never bought anything is no evidence,
-- and neither is a circle: then the verdict stands as it was.
{%- set evidence = [
    'evidence_object_type',
    'evidence_object_id',
    'evidence_property',
    'evidence_value',
    'evidence_old_value',
    'evidence_updated_at',
] %}

with verdicts as (
    select * from {{ ref('int_access_verdicts_of_survivors') }}
),

inherited as (
    select
        chains.customer_id as heir_id,
        parents.*
    from {{ ref('int_parent_chains') }} as chains
    inner join verdicts as parents on chains.ancestor_id = parents.customer_id
    where parents.rule between 1 and 6
)

select
    verdicts.customer_id,
    verdicts.rule,
    verdicts.is_evidence_lost,
    coalesce(inherited.access_level, verdicts.access_level) as access_level,
    coalesce(inherited.is_enabled, verdicts.is_enabled) as is_enabled,
    coalesce(inherited.is_churned, verdicts.is_churned) as is_churned,
    case
        when inherited.heir_id is null then verdicts.reason_code
        else 'PARENT_INHERITED'
    end as reason_code,
    inherited.customer_id as inherited_from,
    inherited.reason_code as inherited_reason_code,
    case
        when inherited.heir_id is null then verdicts.effective_at
        else inherited.effective_at
    end as effective_at,
    case
        when inherited.heir_id is null then verdicts.access_until
        when inherited.is_enabled
            then {{ earliest('inherited.access_until', 'verdicts.leaves_at') }}
        else inherited.access_until
    end as access_until,
{% for column in evidence %}
    case
        when inherited.heir_id is null then verdicts.{{ column }}
        else inherited.{{ column }}
    end as {{ column }}{{ ',' if not loop.last }}
{% endfor %}
from verdicts
left join inherited on verdicts.customer_id = inherited.heir_id
