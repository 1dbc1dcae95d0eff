-- Customers whose access a person has to look at.
with customers as (
    select * from {{ ref('int_customers') }}
),

verdicts as (
    select * from {{ ref('int_access_verdicts') }}
),

overrides as (
    select * from {{ ref('int_customer_overrides') }}
)

select
    case when verdicts.is_enabled then 'error' else 'warning' end as severity,
    'ACCESS_HELD' as kind,
    'companies' as object_type,
    customers.customer_id as object_id,
    customers.record_state as detail,
    'Access is held as it was (' || verdicts.access_level || '), because '
    || case customers.record_state
        when 'live' then 'no subscription of this company can be read'
        else 'the company is ' || customers.record_state || ' in HubSpot'
    end
    || ': restore what is missing, or set its status to churned.' as what_to_do
from customers
inner join verdicts on customers.customer_id = verdicts.customer_id
where verdicts.reason_code = 'UNKNOWN_HELD' and customers.record_state <> 'merged'
union all
select
    'error' as severity,
    'OVERRIDE_WITHOUT_END' as kind,
    'companies' as object_type,
    customer_id as object_id,
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
