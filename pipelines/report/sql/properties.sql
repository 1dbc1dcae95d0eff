-- What HubSpot calls the properties that evidence names.
select distinct
    properties.object_type,
    properties.name,
    properties.label
from hubspot_raw.properties as properties
inner join app.access as access
    on
        properties.object_type
        = (cast(access.evidence as json) ->> 'object_type')
        and properties.name = (cast(access.evidence as json) ->> 'property')
where properties.label is not null
