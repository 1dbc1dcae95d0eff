-- Where a record of a type is seen in HubSpot: this, followed by its id.
with object_types as (
    select * from {{ ref('stg_hubspot__object_types') }}
),

portal as (
    select * from {{ ref('stg_hubspot__portal') }}
)

select
    object_types.object_type,
    'https://' || portal.ui_domain || '/contacts/' || portal.portal_id
    || '/record/' || object_types.object_type_id || '/' as url_base
from object_types
cross join portal
