-- What HubSpot calls the stages, whose ids are numbers in most portals.
select
    object_type,
    stage_id,
    min(stage_label) as stage_label
from hubspot_raw.pipelines
where stage_id is not null and stage_label is not null
group by object_type, stage_id
