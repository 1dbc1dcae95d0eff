-- What HubSpot calls its properties.
select
    object_type,
    name,
    label
from hubspot_raw.properties
where label is not null
