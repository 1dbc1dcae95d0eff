-- What int_contacts_touched compares with: customers and merged contacts as they were
-- when people were last built.
-- depends_on: {{ ref('int_contacts_touched') }}
select
    'customer' as kind,
    customer_id as id,
    record_state as detail
from {{ ref('int_customers') }}
union all
select
    'alias' as kind,
    alias_id as id,
    survivor_id as detail
from {{ ref('int_contact_aliases') }}
