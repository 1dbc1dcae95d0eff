-- Where a record of a type is seen in HubSpot: this, followed by its id.
select
    object_type,
    url_base
from intermediate.int_record_urls
