-- Every change of access is explained: flags that no event accounts for were changed
-- behind the project's back.
with events as (
    {{ newest_events() }}
)

select
    published.customer_id,
    published.access_level,
    events.to_level
from {{ ref('access') }} as published
left join events
    on published.customer_id = events.customer_id
where
    published.version > 0
    and (
        events.customer_id is null
        or events.to_level <> published.access_level
        or events.to_enabled <> published.is_enabled
    )
