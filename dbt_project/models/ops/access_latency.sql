{{ config(materialized='rebuilt_view') }}

-- From the edit in HubSpot to the change of access: what of it was waiting for us. Only
-- where HubSpot told when the value was set. A date that had to come, a person who had
-- to approve, an undo, and edits from before the first publication are no latency.
with events as (
    {{ before_run('access_events', [
        ('event_id', 'bigint'), ('customer_id', 'text'), ('run_id', 'text'),
        ('from_level', 'text'), ('to_level', 'text'), ('from_enabled', 'boolean'),
        ('to_enabled', 'boolean'), ('reason_code', 'text'), ('evidence', 'text'),
        ('approved_by', 'text'), ('effective_at', 'timestamptz'),
    ]) }}
),

runs as (
    {{ before_run('sync_runs', [
        ('run_id', 'text'), ('command', 'text'), ('published_at', 'timestamptz'),
    ], schema='ops') }}
),

beginning as (
    select min(published_at) as published_at
    from runs
    where command = 'sync'
),

timed as (
    select
        events.event_id,
        events.run_id,
        events.customer_id,
        events.reason_code,
        events.to_enabled,
        cast((cast(events.evidence as json) ->> 'changed_at') as timestamptz)
            as changed_at,
        events.effective_at,
        runs.published_at
    from events
    inner join runs on events.run_id = runs.run_id
    where
        events.evidence like '%"changed_at"%'  -- else it need not be parsed
        and events.approved_by is null
        and (cast(events.evidence as json) ->> 'access_ended_at') is null
        and (
            coalesce(events.from_enabled, false) <> events.to_enabled
            or (
                events.to_enabled
                and (events.from_level is distinct from events.to_level)
            )
        )
)

select
    timed.event_id,
    timed.run_id,
    timed.customer_id,
    timed.reason_code,
    timed.to_enabled,
    timed.changed_at,
    timed.effective_at,
    timed.published_at,
    cast(
        extract(
            epoch from
            timed.published_at - greatest(timed.changed_at, timed.effective_at)
        ) as double precision
    ) as seconds
from timed
cross join beginning
where
    timed.changed_at is not null
    and timed.published_at is not null
    and timed.changed_at >= beginning.published_at
