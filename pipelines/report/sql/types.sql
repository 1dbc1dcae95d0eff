-- What HubSpot calls one record of each type.
select
    object_type,
    label_singular
from hubspot_raw.object_types
where label_singular is not null
