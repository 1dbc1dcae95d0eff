-- Ids of two portals mean different companies: their records must never mix.
select count(*) as portal_count
from {{ ref('stg_hubspot__portal') }}
having count(*) <> 1
